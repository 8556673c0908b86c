"""A run folder that somebody else wrote: what a resume takes from its records, and what it never does."""

import json
import os
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedcli.cli.hydra_bridge import HydraRequest, composed_sweep
from fedcli.cli.replay import replayed
from fedcli.errors import DataError, RunDirectoryError
from fedcli.pretrained import load_pretrained
from tests.cli.test_train import TINY, record

CALLBACK = "+hydra.callbacks.planted._target_=planted.Callback"


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A module that leaves a file when its callback runs; returns that file's path."""
    marker = tmp_path / "code-ran"
    (tmp_path / "planted.py").write_text(
        f"from pathlib import Path\nclass Callback:\n    def __init__(self):\n        Path({str(marker)!r}).touch()\n"
        "    def __getattr__(self, name):\n        return lambda **_: None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return marker


def plant(path, *overrides):
    """Adds overrides to a run.json or sweep.json."""
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "overrides": [*document["overrides"], *overrides]}))


def of_another_user(monkeypatch):
    user = os.geteuid()
    monkeypatch.setattr("fedcli.runs.ownership.os.geteuid", lambda: user + 1)


def test_the_planted_callback_runs_where_it_is_typed(invoke, planted):
    """So that the tests below show something."""
    invoke("train", *TINY, "rounds=0", CALLBACK)
    assert planted.exists()


def test_a_planted_callback_does_not_run(train, planted):
    run = train("rounds=1")
    plant(run / "run.json", CALLBACK, "hydra.searchpath=[file:///nowhere]", "hydra/launcher=nothing")
    assert train("--resume", str(run), "rounds=2") == run
    assert not planted.exists()
    assert record(run)["resumed"] == [1]


def test_a_callback_planted_in_a_sweep_does_not_run(invoke, planted):
    arguments = [*TINY, "rounds=1", "hydra.sweep.dir=sweep", "seed=1,2"]
    assert invoke("train", "-m", *arguments).exit_code == 0
    plant(Path("sweep/sweep.json"), CALLBACK)
    result = invoke("train", "-m", "--resume", "sweep")
    assert result.exit_code == 0, result.stderr
    assert "not taken from sweep/sweep.json" in result.stderr
    assert not planted.exists()


def test_auto_takes_runs_of_the_same_user_only(train, planted, monkeypatch):
    run = train("rounds=1")
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**document, "status": "interrupted"}))
    with monkeypatch.context() as patch:
        of_another_user(patch)
        assert train("rounds=1", "--resume", "auto") != run
    assert train("rounds=1", "--resume", "auto") == run


def test_auto_takes_sweeps_of_the_same_user_only(invoke, monkeypatch):
    def swept():
        result = invoke("train", "-m", *TINY, "rounds=1", "seed=1,2", "--resume", "auto")
        return result.stderr

    swept()
    assert "resuming" in swept()
    of_another_user(monkeypatch)
    assert "no sweep of these overrides yet" in swept()


def test_the_environment_does_not_leak(train, monkeypatch):
    monkeypatch.setenv("SECRET", "swordfish")
    run = train("rounds=1")
    plant(run / "run.json", "dataset.origin=http://127.0.0.1:9/${oc.env:SECRET}")
    refusal = train("--resume", str(run), "rounds=2", code=1)
    assert "swordfish" not in refusal.stderr
    assert f"fedcli train --resume {run} dataset.origin=VALUE" in refusal.stderr
    # The value that is typed is the user's own.
    train("--resume", str(run), "rounds=2", "dataset.origin=null")


def test_the_environment_does_not_leak_by_the_config(train, monkeypatch):
    monkeypatch.setenv("SECRET", "swordfish")
    run = train("rounds=1")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("dataset:\n", "dataset:\n  extra: ${oc.env:SECRET}\n"))
    refusal = train("--resume", str(run), "rounds=2", code=1)
    assert "interpolation" in refusal.stderr
    assert "swordfish" not in refusal.stderr
    (run / "model.keras").unlink()
    with pytest.raises(DataError, match="interpolation") as caught:
        load_pretrained(str(run))
    assert "swordfish" not in str(caught.value)


PLANTED = [
    "hydra: {callbacks: {planted: {_target_: planted.Callback}}}",
    "hydra: {launcher: {_target_: planted.Callback}}",
    "hydra: {sweeper: {_target_: planted.Callback}}",
    "hydra: {job_logging: {version: 1, handlers: {planted: {(): planted.Callback}}}}",
]


@pytest.mark.parametrize("yaml", PLANTED)
@pytest.mark.parametrize("more", [[], ["-m", "seed=1,2"]])
def test_a_preset_runs_no_code(invoke, planted, tmp_path, yaml, more):
    preset = tmp_path / "presets" / "experiment" / "mine.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(f"# @package _global_\n{yaml}\n")
    result = invoke("train", *more, "--config-dir", "presets", "experiment=mine", "rounds=0", *TINY)
    assert result.exit_code == 2, result.stderr
    assert "planted.Callback: a YAML file names code to run" in result.stderr
    assert not planted.exists()


@pytest.mark.parametrize(
    "own", [["hydra/launcher=joblib"], ["hydra/sweeper=optuna"], ["hydra/launcher=submitit_local"], [CALLBACK]]
)
def test_installed_plugins_and_typed_code_are_not_refused(own):
    with composed_sweep(HydraRequest("train", own, "0a1b2c")):
        pass


@pytest.fixture
def taken(tmp_path):
    """Returns which of a record's overrides are taken over."""
    path = tmp_path / "run.json"
    path.write_text("{}")
    return lambda recorded, *now: replayed(path, recorded, now, "fedcli train --resume RUN")


CODE = [
    "dataset.cache_dir=cache",
    "++cache_dir=cache",
    "runtime.address=10.0.0.9:6379",
    "runtime.address=ray://head:10001",
    "rounds=${oc.env:SECRET}",
    "seed=[1,{a: '${x}'}]",
    "dataset@hydra.callbacks=digits",
]


@pytest.mark.parametrize("override", CODE)
def test_what_runs_code_has_to_be_typed_again(taken, override):
    with pytest.raises(RunDirectoryError) as refusal:
        taken(["rounds=3", override])
    assert refusal.value.hint.startswith("give the value again")
    command = shlex.split(refusal.value.hint.partition("another: ")[2])
    assert taken(["rounds=3", override], command[-1].replace("VALUE", "1")) == ["rounds=3"]


PLACES = [
    "dataset.origin=http://other",
    "output_dir=/elsewhere",
    "logger=mlflow",
    "logger.tracking_dir=/elsewhere",
    "pretrained=/elsewhere",
    "text=/elsewhere",
]


@pytest.mark.parametrize("override", PLACES)
def test_places_are_taken_from_the_same_user_only(taken, override, monkeypatch):
    assert taken([override]) == [override]
    of_another_user(monkeypatch)
    with pytest.raises(RunDirectoryError, match="another user"):
        taken([override])
    assert taken([override], override) == []
    assert taken(["rounds=3"]) == ["rounds=3"]


@pytest.mark.parametrize("override", ["runtime.address=local", "runtime.address='auto'", "seed=1,2", "model=mlp"])
def test_a_runs_own_keys_are_taken(taken, override):
    assert taken([override]) == [override]


@pytest.mark.parametrize("override", ["", "seed", "a=[[", "seed=1\nhydra.x=2"])
def test_a_damaged_override_is_refused(taken, override):
    with pytest.raises(RunDirectoryError, match=r"run\.json"):
        taken([override])


keys = st.sampled_from(["hydra.callbacks.x", "hydra/launcher", "hydra", "rounds", "seed", "model", "dataset.origin"])
values = st.sampled_from(["1", "null", "'a b'", "${oc.env:X}", "'${x}'", "{_target_: os.system}", "[1,2]", "a,b"])


# Parsing an override is slow at first.
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.builds("{}{}={}".format, st.sampled_from(["", "+", "++"]), keys, values), max_size=6))
def test_nothing_of_hydras_and_no_interpolation_is_taken(tmp_path_factory, overrides):
    path = tmp_path_factory.getbasetemp() / "run.json"
    path.write_text("{}")
    try:
        kept = replayed(path, overrides, [], "fedcli train --resume RUN")
    except RunDirectoryError:
        assert any("${" in override for override in overrides)
        return
    assert not any("${" in override or override.lstrip("+").startswith("hydra") for override in kept)
    assert kept == [override for override in overrides if not override.lstrip("+").startswith("hydra")]
