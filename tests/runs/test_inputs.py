"""Fingerprints of what runs are made from: what differs, and what is not known."""

import pytest

from fedcli.errors import ConfigError
from fedcli.runs.directory import RunDirectory
from fedcli.runs.inputs import differences
from fedcli.runs.record import read_record
from fedcli.runs.recorded import recorded

FIRST = {
    "data": {"name": "digits", "sha256": "a" * 64},
    "pretrained": {"name": "dickens", "sha256": "c" * 64, "run": None},
    "sources": {"plugin": "e" * 64},
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": {"name": "digits", "sha256": "b" * 64}}, ["the data (aaaaaaaa, now bbbbbbbb)"]),
        ({"pretrained": {"sha256": "d" * 64}}, ["the pretrained model (cccccccc, now dddddddd)"]),
        ({"sources": {"plugin": "f" * 64}}, ["the source of plugin (eeeeeeee, now ffffffff)"]),
        ({"data": {"name": "a mirror", "sha256": "a" * 64}}, []),
        ({"data": {"sha256": None}}, []),
        ({"pretrained": None, "sources": {}}, []),
    ],
)
def test_what_differs(changed, said):
    assert differences(FIRST, {**FIRST, **changed}) == said


@pytest.mark.parametrize(
    "unknown", [None, {}, {"data": None}, {"data": {"sha256": 3}, "sources": "x", "pretrained": []}]
)
def test_what_is_not_known_differs_from_nothing(unknown):
    assert differences(unknown, FIRST) == differences(FIRST, unknown) == []


def recording(folder):
    return recorded(RunDirectory(folder), id="abcdef", command="train", argv=[], overrides=[], seed=0)


def test_a_run_keeps_its_inputs_and_refuses_others(tmp_path):
    run = RunDirectory(tmp_path)
    with recording(tmp_path) as journal:
        journal.begin(FIRST)
    other = {**FIRST, "data": {"name": "digits", "sha256": "b" * 64}}
    with recording(tmp_path) as journal:
        with pytest.raises(ConfigError, match="made with other inputs: the data"):
            journal.refuse_other(other)
        journal.refuse_other(FIRST)
        journal.begin(FIRST, 3)
    record = read_record(run.run_json)
    assert record.inputs == FIRST
    assert record.resumed == [3]
    assert record.resumed_versions == [record.versions]


def test_unknown_inputs_stay_unknown_of_a_run_that_goes_on(tmp_path):
    with recording(tmp_path):
        pass
    with recording(tmp_path) as journal:
        journal.refuse_other(FIRST)
        journal.begin(FIRST, 3)
    assert read_record(RunDirectory(tmp_path).run_json).inputs is None
    # One that begins again knows them.
    with recording(tmp_path) as journal:
        journal.begin(FIRST)
    assert read_record(RunDirectory(tmp_path).run_json).inputs == FIRST


def test_another_version_of_fedcli_is_said_and_noted(tmp_path, monkeypatch, caplog):
    with recording(tmp_path):
        pass
    monkeypatch.setattr("fedcli.__version__", "9.9.9")
    with recording(tmp_path) as journal:
        journal.begin(None, 2)
    assert "goes on with fedcli 9.9.9" in caplog.text
    assert read_record(RunDirectory(tmp_path).run_json).fedcli_versions()[-1] == "9.9.9"
