"""Keeps the troubles of loggers, TensorBoard's files among them, away from the run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fedcli.loggers.base import Logger, LoggerConfig
from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import RunRecord, Status

_log = logging.getLogger(__name__)


class Guard:
    """Goes on after what a logger raises, and warns of the first time: a run never fails by its logger.

    Args:
        name: What the warning calls the logger.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_warned = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Catches what the block raises, but no interrupt."""
        try:
            yield
        except Exception as error:
            if self._has_warned:
                _log.info("%s: %s", self._name, error)
                return
            self._has_warned = True
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            _log.warning("%s: %s; the run goes on, its record there may have gaps", self._name, reason)
            _log.info("what %s raised", self._name, exc_info=True)


class GuardedLogger(Logger):
    """Passes on to a logger under a `Guard`.

    A failure may be short (a full disk that is cleared), so it is passed all that follows.

    Args:
        config: The logger.
        run: The run.
        record: What run.json says.
        values: The config, flat.
    """

    def __init__(self, config: LoggerConfig, run: RunDirectory, record: RunRecord, values: Mapping[str, Any]) -> None:
        self._guarded = Guard(f"logger={config.name}")
        self._logger = Logger()
        with self._guarded():
            logger = config.start(run, record, values)
            self.last_round = logger.last_round
            self._logger = logger

    def scalars(self, round: int, values: Mapping[str, float | None]) -> None:
        """Passes on the numbers that there are of a round, unless the logger holds it."""
        if round > self.last_round:
            with self._guarded():
                self._logger.scalars(round, {name: value for name, value in values.items() if value is not None})

    def text(self, round: int, name: str, text: str) -> None:
        """Passes on a text, unless the logger holds the round."""
        if round > self.last_round:
            with self._guarded():
                self._logger.text(round, name, text)

    def close(self, status: Status) -> None:
        """Passes on how the run ended."""
        with self._guarded():
            self._logger.close(status)
