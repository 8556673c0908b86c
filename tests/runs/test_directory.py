import os
from pathlib import Path

import pytest

from fedcli.errors import RunDirectoryError
from fedcli.runs.directory import RunDirectory, find_runs


def make(folder: Path, *files: str) -> RunDirectory:
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return RunDirectory(folder)


def test_file_names_are_the_documented_ones() -> None:
    run = RunDirectory("outputs/a")
    paths = {
        *(run.run_json, run.config_yaml, run.hydra, run.metrics_csv, run.events, run.checkpoints),
        *(run.model_keras, run.result_json, run.run_log, run.lock),
    }
    assert {str(path.relative_to("outputs/a")) for path in paths} == {
        *("run.json", "config.yaml", ".hydra", "metrics.csv", "events", "checkpoints"),
        *("model.keras", "result.json", "run.log", ".lock"),
    }


def test_new_id_is_6_hex_digits() -> None:
    ids = {RunDirectory.new_id() for _ in range(100)}
    assert len(ids) > 90
    assert all(len(id) == 6 and int(id, 16) >= 0 for id in ids)


def test_runs_of_the_same_path_are_equal() -> None:
    assert RunDirectory("a/b") == RunDirectory(Path("a/b"))
    assert str(RunDirectory("a/b")) == "a/b"


def test_finds_runs_at_any_depth(tmp_path: Path) -> None:
    first = make(tmp_path / "2026-01-01" / "10-00-00-train-aaaaaa", "run.json", ".hydra/config.yaml")
    job0 = make(tmp_path / "2026-01-02" / "09-00-00-train-bbbbbb" / "0", "run.json", "config.yaml")
    job1 = make(tmp_path / "2026-01-02" / "09-00-00-train-bbbbbb" / "1", "run.json", "checkpoints/x")
    make(tmp_path / "2026-01-03", "notes.txt", ".hydra/config.yaml")
    assert find_runs([tmp_path]) == [first, job0, job1]
    assert find_runs([first.path]) == [first]
    assert find_runs([str(tmp_path / "2026-01-02"), tmp_path]) == [job0, job1, first]


@pytest.mark.parametrize("left", ["config.yaml", "metrics.csv"])
def test_finds_runs_that_were_killed_early(tmp_path: Path, left: str) -> None:
    run = make(tmp_path / "day" / "run", left)
    assert not run.is_recorded
    assert run.is_run
    assert find_runs([tmp_path]) == [run]


def test_a_file_of_a_run_stands_for_the_run(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "run.json", "metrics.csv")
    assert find_runs([run.metrics_csv, run.run_json]) == [run]


def test_a_link_to_a_run_keeps_its_name(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "run.json")
    (tmp_path / "latest").symlink_to("run")
    assert find_runs([tmp_path / "latest", run.path]) == [RunDirectory(tmp_path / "latest")]


def test_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="nowhere: no such run directory"):
        find_runs([tmp_path / "nowhere"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunDirectoryError, match="no such run directory"):
        find_runs([tmp_path / "notes.txt"])


def test_folder_without_runs(tmp_path: Path) -> None:
    assert find_runs([tmp_path]) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_closed_folder_is_passed_over_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = make(tmp_path / "b", "run.json")
    (tmp_path / "a").mkdir(mode=0)
    assert find_runs([tmp_path]) == [run]
    assert "Permission denied" in caplog.text
