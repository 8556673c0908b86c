import socket

import pytest

from fedcli.errors import UsageError
from fedcli.report.comparison import compare
from fedcli.report.html import render_html
from fedcli.report.load import load_runs
from fedcli.report.results import Question
from fedcli.report.table import columns
from fedcli.runs.process import Process
from tests.report.synthetic import write_fifty, write_run


def process(**changes):
    return {**vars(Process.current()), **changes}


def test_every_folder_is_found_and_judged(tmp_path):
    write_fifty(tmp_path, rounds=3)
    loaded = load_runs([tmp_path])
    status = {run.folder.name: run.status for run in loaded.runs if run.status != "completed"}
    assert status == {
        "x-empty-files": "damaged",
        "x-failed": "failed",
        "x-garbage": "damaged",
        "x-interrupted": "interrupted",
        "x-killed": "killed",
        "x-no-record": "half-written",
        "x-truncated-csv": "damaged",
        "x-truncated-json": "damaged",
    }
    assert len(loaded.runs) == 40 + len(status)
    assert [path.name for path in loaded.foreign] == ["x-foreign"]
    assert all(run.problem for run in loaded.runs if run.status != "completed")


def test_a_living_run_and_one_of_another_machine(tmp_path):
    write_run(tmp_path / "a", status="running", process=process())
    write_run(tmp_path / "b", status="running", process=process(hostname=f"not-{socket.gethostname()}"))
    assert [run.status for run in load_runs([tmp_path]).runs] == ["running", "elsewhere"]


def test_a_completed_run_whose_metrics_were_cut_is_not_believed(tmp_path):
    folder = write_run(tmp_path / "a")
    lines = (folder / "metrics.csv").read_text().splitlines(keepends=True)
    (folder / "metrics.csv").write_text("".join(lines[:-1]))
    [run] = load_runs([tmp_path]).runs
    assert run.status == "damaged"
    assert run.problem == "metrics.csv ends after round 1, result.json says 2"


@pytest.mark.parametrize(
    "config", ["[", "- 1\n", "", "\x00", "a: &a {b: *a}\n", "!!python/object:os.system {}\n", "? [1, 2]\n: 3\n"]
)
def test_a_config_of_nonsense_is_damage_not_a_crash(tmp_path, config):
    write_run(tmp_path / "a").joinpath("config.yaml").write_text(config)
    [run] = load_runs([tmp_path]).runs
    assert run.status in ("damaged", "completed")


def test_another_programs_run_json_is_passed_over(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_text('{"program": "other"}')
    write_run(tmp_path / "b")
    loaded = load_runs([tmp_path])
    assert [path.name for path in loaded.foreign] == ["a"]
    assert [run.folder.name for run in loaded.runs] == ["b"]


def test_files_of_one_name_that_are_folders_and_numbers_beyond_measure(tmp_path):
    write_run(tmp_path / "a").joinpath("metrics.csv").unlink()
    (tmp_path / "a" / "metrics.csv").mkdir()
    write_run(tmp_path / "b", accuracies=(0.1, "1" + "0" * 400))
    write_run(tmp_path / "c", accuracies=(0.1, "1" + "0" * 5000))
    loaded = load_runs([tmp_path])
    assert [run.status for run in loaded.runs] == ["damaged", "damaged", "damaged"]
    found = compare(loaded, Question())
    assert "hundreds of digits" in render_html(found, found.groups, columns(found))


def test_nothing_found_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no runs found"):
        load_runs([tmp_path])
    with pytest.raises(UsageError, match="no such run"):
        load_runs([tmp_path / "missing"])
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no such run"):
        load_runs([tmp_path / "file"])
