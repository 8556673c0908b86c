"""What the logger hears of a run, above all of one that is resumed."""

import dataclasses
import errno
import logging
import os

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.config.schema import TrainConfig
from fedcli.errors import Interrupted
from fedcli.loggers.base import Logger, LoggerConfig
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import read_metrics
from fedcli.runs.record import RunRecord, write_record
from fedcli.training.measurements import Measurements


class Listener(Logger):
    def __init__(self):
        self.heard = []

    @property
    def last_round(self):
        return max((heard[0] for heard in self.heard if isinstance(heard, tuple)), default=-1)

    def scalars(self, round, values):
        self.heard.append((round, values["eval/loss"]))

    def text(self, round, name, text):
        self.heard.append((round, name, text))

    def close(self, status):
        self.heard.append(status)


@dataclasses.dataclass(frozen=True)
class Listening(LoggerConfig):
    listener: Listener | None = None

    def start(self, run, record, config):
        assert config["rounds"] == 50
        assert record.id == "0b6173"
        return self.listener

    def __deepcopy__(self, memo):
        return self


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path)
    write_record(run.run_json, RunRecord.begin(id="0b6173", command="train", argv=[], overrides=[], seed=0))
    return run


def measuring(run, listener, rounds, resumed_after=None, error=None):
    config = compose(HydraRequest("train", [], "abcdef"), TrainConfig)
    config = dataclasses.replace(config, logger=Listening("mine", listener))
    measurements = Measurements(run, config, [], resumed_after)
    for round in rounds:
        measurements.row({"round": round, "eval/loss": round / 2})
    measurements.close(error)


def test_the_logger_hears_all(run):
    listener = Listener()
    measuring(run, listener, range(2))
    assert listener.heard == [(0, 0.0), (1, 0.5), "completed"]


def test_a_resumed_run_tells_each_round_once(run):
    listener = Listener()
    measuring(run, listener, range(4), error=Interrupted)
    measuring(run, listener, range(2, 6), resumed_after=1)
    assert [row["round"] for row in read_metrics(run.metrics_csv)] == [0, 1, 2, 3, 4, 5]
    assert listener.heard == [
        *((round, round / 2) for round in range(4)),
        "interrupted",
        (4, 2.0),
        (5, 2.5),
        "completed",
    ]


def test_a_logger_that_is_chosen_on_resume_hears_what_was_before(run):
    measuring(run, Listener(), range(4), error=RuntimeError)
    listener = Listener()
    measuring(run, listener, range(3, 5), resumed_after=2)
    assert listener.heard == [*((round, round / 2) for round in range(5)), "completed"]


class FullDisk:
    """A file that takes nothing."""

    def __init__(self, file):
        self.fileno, self.seek, self.closed = file.fileno, file.seek, False

    def write(self, data):
        raise OSError(errno.ENOSPC, "")


def test_events_that_cannot_be_written_do_not_end_the_run(run, monkeypatch, caplog):
    config = compose(HydraRequest("train", [], "abcdef"), TrainConfig)
    measurements = Measurements(run, config, [], None)
    (file,) = run.events.iterdir()
    size = file.stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(measurements._events, "_file", FullDisk(measurements._events._file))
        measurements.row({"round": 0, "eval/loss": 1.0})
        measurements.text(0, "sample", "to be")
        assert file.stat().st_size == size
    assert [row["round"] for row in read_metrics(run.metrics_csv)] == [0]
    (warning,) = [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert "TensorBoard's events" in warning.getMessage()
    assert "No space left on device; the run goes on" in warning.getMessage()
    # There is space again.
    measurements.row({"round": 1, "eval/loss": 0.5})
    measurements.close(None)
    shown = EventAccumulator(str(run.events)).Reload()
    assert [event.step for event in shown.Tensors("eval/loss")] == [1]


def test_events_that_cannot_be_closed_do_not_end_the_run(run, monkeypatch):
    config = compose(HydraRequest("train", [], "abcdef"), TrainConfig)
    measurements = Measurements(run, config, [], None)
    measurements.row({"round": 0, "eval/loss": 1.0})

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "fsync", fail)
    measurements.close(None)
