"""What a run tells to whoever watches it."""

from __future__ import annotations

from typing import Protocol

from fedcli.runs.metrics import Row


class Observer(Protocol):
    """Watches a run, for example to show its progress. Must not change it."""

    def preparing(self, what: str) -> None:
        """Something slow before the first round begins."""

    def started(self, round: int, rounds: int) -> None:
        """The rounds begin, after `round` of `rounds`."""

    def row(self, row: Row) -> None:
        """A round (or the first evaluation) is done and written."""

    def stopping(self) -> None:
        """The user asked to stop; the round in progress is still finished."""


class EpochObserver(Observer, Protocol):
    """Watches a run whose rounds are epochs, which can be long."""

    def batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """So many batches of an epoch are done; `loss` is their mean loss."""
