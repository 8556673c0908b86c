import logging
from dataclasses import dataclass, field

import pytest

from fedcli.loggers.base import Logger, LoggerConfig
from fedcli.loggers.guard import GuardedLogger


class Listener(Logger):
    def __init__(self, last_round=-1):
        self.last_round = last_round
        self.heard = []

    def scalars(self, round, values):
        self.heard.append((round, values))

    def text(self, round, name, text):
        self.heard.append((round, name, text))

    def close(self, status):
        self.heard.append(status)


class Failing(Listener):
    """Fails in some rounds."""

    def scalars(self, round, values):
        if round in (1, 2):
            raise OSError("No space\nleft")
        super().scalars(round, values)

    def close(self, status):
        raise RuntimeError


@dataclass(frozen=True)
class Config(LoggerConfig):
    name: str = "mine"
    logger: Logger | None = field(default=None)

    def start(self, run, record, config):
        if self.logger is None:
            raise ImportError("no such library")
        return self.logger


def guarded(logger, run, record):
    return GuardedLogger(Config(logger=logger), run, record, {"seed": 1})


def test_passes_on_what_there_is(run, record):
    listener = Listener()
    logger = guarded(listener, run, record)
    logger.scalars(0, {"eval/loss": 1.0, "train/loss": None})
    logger.text(0, "sample", "to be")
    logger.close("completed")
    assert listener.heard == [(0, {"eval/loss": 1.0}), (0, "sample", "to be"), "completed"]


def test_rounds_that_the_logger_holds_are_passed_over(run, record):
    listener = Listener(last_round=2)
    logger = guarded(listener, run, record)
    for round in range(1, 5):
        logger.scalars(round, {"eval/loss": 1.0})
        logger.text(round, "sample", "to be")
    assert [heard[0] for heard in listener.heard] == [3, 3, 4, 4]


def test_warns_once_and_goes_on(run, record, caplog):
    caplog.set_level(logging.INFO)
    failing = Failing()
    logger = guarded(failing, run, record)
    for round in range(4):
        logger.scalars(round, {"eval/loss": 1.0})
    logger.close("failed")
    assert [round for round, _ in failing.heard] == [0, 3]
    (warning,) = [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert warning.getMessage() == "logger=mine: No space left; the run goes on, its record there may have gaps"
    assert "Traceback" in caplog.text  # for run.log


def test_a_logger_that_does_not_start_is_done_without(run, record, caplog):
    logger = guarded(None, run, record)
    logger.scalars(0, {"eval/loss": 1.0})
    logger.close("completed")
    assert [entry.getMessage().split(";")[0] for entry in caplog.records if entry.levelno >= logging.WARNING] == [
        "logger=mine: no such library"
    ]


def test_a_logger_that_is_none_is_done_without(run, record, caplog):
    class NoLogger(Config):
        def start(self, run, record, config):
            return None

    logger = GuardedLogger(NoLogger(), run, record, {})
    logger.scalars(0, {"eval/loss": 1.0})
    assert len([entry for entry in caplog.records if entry.levelno >= logging.WARNING]) == 1


def test_an_interrupt_is_no_trouble_of_the_logger(run, record):
    class Interrupted(Listener):
        def scalars(self, round, values):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(Interrupted(), run, record).scalars(0, {"eval/loss": 1.0})
