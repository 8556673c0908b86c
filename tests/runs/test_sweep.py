import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.errors import RunDirectoryError
from fedcli.runs.process import Process
from fedcli.runs.sweep import SweepDirectory, SweepRecord, find_sweeps, read_sweep, write_sweep

texts = st.lists(st.text(max_size=5), max_size=3)


@given(
    record=st.builds(
        SweepRecord,
        command=st.sampled_from(["train", "finetune", "pretrain"]),
        overrides=texts,
        argv=texts,
        jobs=st.none() | st.lists(texts, max_size=3),
        total=st.none() | st.integers(0, 9),
        keys=texts,
        process=st.none() | st.just(Process.current()),
    )
)
def test_what_is_written_is_read(tmp_path_factory, record):
    path = tmp_path_factory.mktemp("sweep") / "sweep.json"
    write_sweep(path, record)
    assert read_sweep(path) == record


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"command": 1}', '{"command": "train", "overrides": "seed=1"}'],
)
def test_a_damaged_file_is_an_error(tmp_path, content):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"sweep\.json"):
        read_sweep(tmp_path / "sweep.json")


def test_a_later_form_is_refused(tmp_path):
    write_sweep(tmp_path / "sweep.json", dataclasses.replace(SweepRecord("train", []), schema_version=2))
    with pytest.raises(RunDirectoryError, match="later fedcli"):
        read_sweep(tmp_path / "sweep.json")


def test_unknown_keys_are_passed_over(tmp_path):
    path = tmp_path / "sweep.json"
    record = SweepRecord("train", ["seed=1,2"])
    write_sweep(path, record)
    path.write_text(json.dumps({**json.loads(path.read_text()), "later": 1}))
    assert read_sweep(path) == record


def test_a_sweep_lives_as_long_as_its_process():
    assert SweepRecord("train", [], process=Process.current()).is_alive() is True
    assert SweepRecord("train", []).is_alive() is False


def test_differing_overrides():
    record = SweepRecord("train", [], keys=["seed"])
    assert record.differing(["rounds=2", "seed=1"]) == ["seed=1"]
    assert record.differing(["rounds=2"]) == ["rounds=2"]


def test_a_stop_is_asked_for_once_and_then_for_more(tmp_path):
    sweep = SweepDirectory(tmp_path)
    assert sweep.stop_reason() is None
    for asked, there in (
        ("failed", "failed"),
        ("interrupted", "interrupted"),
        ("failed", "interrupted"),
        ("now", "now"),
        ("interrupted", "now"),
    ):
        sweep.ask_to_stop(asked)
        assert sweep.stop_reason() == there
    sweep.forget_stop()
    assert sweep.stop_reason() is None
    sweep.forget_stop()


def test_numbers_are_the_folders_of_jobs(tmp_path):
    for name in ("0", "10", "2", "007", "a", ".submitit"):
        (tmp_path / name).mkdir()
    assert SweepDirectory(tmp_path).numbers() == [0, 2, 10]


def test_finds_sweeps_but_not_in_runs_or_hidden_folders(tmp_path):
    for name in ("a/b", "c", ".hidden", "run/inside"):
        (tmp_path / name).mkdir(parents=True)
        write_sweep(tmp_path / name / "sweep.json", SweepRecord("train", []))
    (tmp_path / "run" / "run.json").write_text("{}")
    assert {str(sweep.path.relative_to(tmp_path)) for sweep in find_sweeps(tmp_path)} == {"a/b", "c"}
