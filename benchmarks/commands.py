"""The command `fedcli train`, watched from outside as a user would: by what it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lineup import Lineup
from benchmarks.processes import TIMEOUT, Side, SideError
from fedcli.runs.metrics import read_metrics

#: Seconds between two looks at a file.
_PAUSE = 0.005


class Run:
    """A run of `fedcli train` that goes on. A context manager.

    Args:
        lineup: Starts it.
        folder: Its run directory, to be made.
        overrides: Its arguments.
    """

    def __init__(self, lineup: Lineup, folder: Path, overrides: Sequence[str]) -> None:
        self._metrics = folder / "metrics.csv"
        self.side: Side = lineup.fedcli(["train", *overrides, f"hydra.run.dir='{folder}'", "-q"])

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.side.__exit__(*error)

    def wait_for_round(self, round: int) -> float:
        """Waits until metrics.csv has a round's row, and returns the seconds since the process was started.

        Raises:
            SideError: The run ended before, or takes too long.
        """
        while self._count() <= round:
            ended = self.side.process.poll() is not None
            if ended and self._count() <= round:
                raise SideError(f"ended before round {round}: {self.side.output[-300:].strip()}")
            if time.perf_counter() - self.side.began > TIMEOUT:
                raise SideError(f"round {round} was not done within {TIMEOUT} s")
            time.sleep(_PAUSE)
        return time.perf_counter() - self.side.began

    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows of metrics.csv."""
        return [dict(row) for row in read_metrics(self._metrics)]

    def _count(self) -> int:
        """Counts the whole rows below the header; the first is that of round 0."""
        try:
            return self._metrics.read_bytes().count(b"\n") - 1
        except FileNotFoundError:
            return 0
