"""No password in a URL reaches a file or the terminal."""

import json
from pathlib import Path

import pytest

from fedcli.report.load import load_runs
from fedcli.runs.record import RunRecord
from tests.cli.test_train import TINY

URL = "https://someone:swordfish@host/a"


def files_that_tell(folder):
    return [path for path in folder.rglob("*") if path.is_file() and b"swordfish" in path.read_bytes()]


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", f"dataset.origin={URL}"],
        ["train", f"++dataset.origin={URL}"],
        ["train", f"logger.tracking_dir={URL}", "logger=mlflow"],
        ["train", "-m", f"dataset.origin={URL}", "seed=1,2"],
        ["train", "-m", f"hydra.sweeper.storage={URL}", "seed=1,2"],
        ["train", f"runtime.address={URL}"],
        ["finetune", "--pretrained", URL],
        ["pretrain", "--text", "x", "--name", "y", f"dataset.origin={URL}"],
        ["data", "fetch", "emnist", "--origin", URL],
    ],
)
def test_a_password_is_refused_before_anything_is_written(invoke, tmp_path, arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2, result.stderr
    assert "swordfish" not in result.stdout + result.stderr
    assert "https://***@host/a" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [[], ["-m", "seed=1,2"]])
@pytest.mark.parametrize(
    "yaml",
    [
        f"dataset:\n  origin: {URL}\n",
        "dataset:\n  origin: ${oc.env:ORIGIN}\n",
        f"hydra:\n  sweeper:\n    params:\n      dataset.origin: {URL}\n",
    ],
)
def test_a_password_in_a_preset_reaches_no_file(invoke, tmp_path, monkeypatch, yaml, more):
    monkeypatch.setenv("ORIGIN", URL)
    preset = tmp_path / "presets" / "experiment" / "mine.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(f"# @package _global_\n{yaml}")
    if "params" in yaml and not more:
        pytest.skip("one run has no sweeper")
    result = invoke("train", *more, "--config-dir", "presets", "experiment=mine", "rounds=0", *TINY)
    assert result.exit_code != 0
    assert "swordfish" not in result.stdout + result.stderr
    assert files_that_tell(tmp_path) in ([preset], [])


def test_a_record_shows_no_password():
    record = RunRecord.begin(id="0a1b2c", command="train", argv=["fedcli", f"x={URL}"], overrides=[], seed=1)
    record.finish("failed", OSError(f"cannot reach {URL}"))
    assert "swordfish" not in json.dumps([record.argv, record.error])


def test_a_report_of_an_older_run_shows_no_password(train):
    run = train("rounds=0")
    document = json.loads((run / "run.json").read_text())
    typed = f"dataset.origin={URL}"
    document |= {"argv": ["fedcli", "train", typed], "overrides": [typed]}
    (run / "run.json").write_text(json.dumps(document))
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("origin: null", f"origin: {URL}"))
    (loaded,) = load_runs([run]).runs
    assert loaded.config["dataset.origin"] == "https://***@host/a"
    assert loaded.record.argv[2] == loaded.record.overrides[0] == "dataset.origin=https://***@host/a"


def test_the_environment_may_hold_it(train, monkeypatch):
    monkeypatch.setenv("FEDCLI_ORIGIN", URL)
    train("rounds=0")
    assert not files_that_tell(Path())
