"""run.json is true from a run's beginning to its end, and a run that is not resumed after all stays as it was."""

import os
import signal

import pytest

from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.runs import recorded as module
from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import read_record, write_record
from fedcli.runs.recorded import recorded


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path)


def recording(run, **changes):
    return recorded(run, **{"id": "abcdef", "command": "train", "argv": [], "overrides": [], "seed": 0, **changes})


def names(run):
    return sorted(path.name for path in run.path.iterdir())


def test_a_new_run_is_recorded_at_once(run):
    begun = []
    with recording(run, on_begin=lambda: begun.append(read_record(run.run_json).status)):
        assert begun == ["running"]
    assert read_record(run.run_json).status == "completed"
    assert names(run) == ["run.json"]


def test_two_new_runs_at_once_do_not_share_a_folder(run):
    with recording(run, is_new=True):
        pass
    with pytest.raises(RunDirectoryError, match="holds a run already"), recording(run, is_new=True):
        pass
    assert names(run) == ["run.json"]


def test_a_resume_that_is_refused_changes_nothing(run):
    with recording(run):
        pass
    run.run_log.write_text("before")
    leftover = run.path / ".tmp~1~1~00000000~elsewhere~00000000~x"
    leftover.write_text("half")
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    begun = []

    def refuse():
        with recording(run, overrides=["rounds=1"], on_begin=lambda: begun.append(1)):
            run.run_log.write_text("before, and what TFF's worker says")
            raise ConfigError("no")

    with pytest.raises(ConfigError):
        refuse()
    assert not begun
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_resumed_run_says_running_when_it_begins(run):
    with pytest.raises(ValueError, match="x"), recording(run):
        raise ValueError("x")
    with recording(run, overrides=["rounds=5"]) as journal:
        assert read_record(run.run_json).status == "failed"
        journal.begin(None, 3)
        record = read_record(run.run_json)
        assert (record.status, record.error, record.resumed) == ("running", None, [3])
        assert record.overrides == ["rounds=5"]
        assert record.is_alive()
    assert read_record(run.run_json).status == "completed"


@pytest.mark.parametrize("moment", ["before signals are held back", "while run.json is written"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_very_end_does_not_leave_running(run, monkeypatch, moment, number):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = {it: signal.signal(it, interrupt) for it in (signal.SIGINT, signal.SIGTERM)}
    sent = []

    def send():
        if not sent:
            sent.append(True)
            os.kill(os.getpid(), number)

    if moment == "while run.json is written":

        def write(path, record):
            if record.status != "running":
                send()
            write_record(path, record)

        monkeypatch.setattr(module, "write_record", write)
    else:
        real = module._end

        def end(*arguments):
            send()
            real(*arguments)

        monkeypatch.setattr(module, "_end", end)
    try:
        with pytest.raises(KeyboardInterrupt), recording(run):
            pass
    finally:
        for it, handler in before.items():
            signal.signal(it, handler)
    assert sent
    assert read_record(run.run_json).status == "completed"
    assert names(run) == ["run.json"]
