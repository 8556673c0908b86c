import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.errors import DivergedError, RunDirectoryError
from fedcli.runs.process import Process
from fedcli.runs.record import RunRecord, read_record, write_record


def begin() -> RunRecord:
    return RunRecord.begin(
        id="0a1b2c", command="train", argv=["fedcli", "train", "seed=1"], overrides=["seed=1"], seed=1
    )


def test_a_new_run_is_running_and_alive() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    record = begin()
    assert record.status == "running"
    assert record.is_alive() is True
    assert record.started.endswith("Z")
    assert before <= datetime.fromisoformat(record.started) <= datetime.now(UTC)
    assert record.process is not None
    assert record.process.pid == os.getpid()
    assert record.versions["numpy"]
    assert record.host["cpus"]


def test_round_trip(tmp_path: Path) -> None:
    record = begin()
    record.resume(20)
    write_record(tmp_path / "run.json", record)
    assert read_record(tmp_path / "run.json") == record
    document = json.loads((tmp_path / "run.json").read_text())
    assert next(iter(document)) == "schema_version"
    assert set(document) >= {
        *("schema_version", "id", "command", "status", "argv", "overrides", "seed", "started", "finished"),
        *("versions", "git", "host", "resumed", "error"),
    }


def test_a_run_that_ended_has_no_process() -> None:
    record = begin()
    record.finish("completed")
    assert record.status == "completed"
    assert record.finished is not None
    assert record.process is None
    assert record.is_alive() is False
    with pytest.raises(ValueError, match="does not finish"):
        record.finish("running")


def test_errors_are_kept_for_the_reader() -> None:
    record = begin()
    record.finish("failed", DivergedError("the loss is nan in round 3", "lower the learning rate"))
    assert record.error == {
        "type": "DivergedError",
        "message": "the loss is nan in round 3",
        "hint": "lower the learning rate",
    }
    record.finish("failed", KeyError("x"))
    assert record.error == {"type": "KeyError", "message": "'x'", "hint": ""}


def test_resuming_clears_the_end_and_notes_the_round() -> None:
    record = begin()
    record.resume(10)
    record.finish("failed", ValueError("x"))
    record.resume(20)
    assert (record.status, record.finished, record.error) == ("running", None, None)
    assert record.resumed == [10, 20]
    assert record.is_alive() is True


def test_a_killed_run_says_running_but_is_dead() -> None:
    record = begin()
    current = Process.current()
    record.process = Process(current.pid, current.start_ticks - 1, current.boot_id, current.hostname)
    assert record.is_alive() is False
    record.process = None
    assert record.is_alive() is False


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"id": "a", "command": "train", "status": "completed", "from the future": {}}')
    record = read_record(path)
    assert record == RunRecord(id="a", command="train", status="completed")


@pytest.mark.parametrize(
    "change",
    [
        *({"id": 3}, {"id": None}, {"status": "sleeping"}, {"argv": "fedcli"}, {"resumed": ["1"]}),
        *({"seed": "1"}, {"host": []}, {"error": "x"}, {"process": {"pid": 1}}, {"schema_version": "1"}),
        *({"status": []}, {"versions": {"numpy": 1}}, {"git": 1}),
    ],
)
def test_wrong_types_are_damage(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "run.json"
    write_record(path, begin())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunDirectoryError, match="is damaged"):
        read_record(path)


def test_required_keys(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"id": "a"}')
    with pytest.raises(RunDirectoryError, match="command is missing"):
        read_record(tmp_path / "run.json")


def test_later_schema(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 99}')
    with pytest.raises(RunDirectoryError, match="later fedcli") as caught:
        read_record(tmp_path / "run.json")
    assert caught.value.hint == "upgrade fedcli"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"cannot read .*run\.json: No such file"):
        read_record(tmp_path / "run.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(RunRecord.__dataclass_fields__)), JSON))
def test_any_json_is_a_record_or_damage(tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({"id": "a", "command": "b", **change}))
    with contextlib.suppress(RunDirectoryError):
        read_record(path).is_alive()
