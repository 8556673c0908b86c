"""Shows a run whose rounds are epochs, also inside of a long one."""

from __future__ import annotations

import time

from fedcli.cli.console import output
from fedcli.cli.progress import RunProgress, duration
from fedcli.runs.metrics import Row

#: Without a terminal, a line inside an epoch at most so often.
_PLAIN_SECONDS = 60.0


class EpochsProgress(RunProgress):
    """An observer for `fedcli pretrain`; see `RunProgress`."""

    def __init__(self, label: str = "") -> None:
        super().__init__(label)
        self._epoch_began = self._plain_shown = time.monotonic()

    def started(self, round: int, rounds: int) -> None:
        """The epochs begin."""
        self._rounds, self._began_at, self._shown_at = rounds, round, round
        self._began = self._epoch_began = self._plain_shown = time.monotonic()
        if round:
            output.say(f"resumed after epoch {round} of {rounds}")

    def row(self, row: Row) -> None:
        """An epoch is done."""
        super().row(row)
        self._epoch_began = self._plain_shown = time.monotonic()

    def batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """So many batches of an epoch are done."""
        now = time.monotonic()
        plain = self._live is None and now - self._plain_shown >= _PLAIN_SECONDS and done < batches
        if self._live is None and not plain:
            return
        self._plain_shown = now
        # What the epochs before took, and what this one has taken so far, per epoch.
        each = (now - self._began) / (epoch - 1 - self._began_at + done / batches)
        left = duration(each * (self._rounds - epoch + 1 - done / batches))
        self._show(
            f"epoch {epoch}/{self._rounds}  batch {done}/{batches}  train/loss {loss:.4f}  "
            f"{(now - self._epoch_began) / done:.2f} s/batch  {left} left",
            plain,
        )

    def stopping(self) -> None:
        """The user asked to stop."""
        output.say("stopping after this epoch (once more to stop at once) ...")

    def _line(self, round: int) -> str:
        parts = [f"epoch {round}/{self._rounds}"]
        for name in ("train/loss", "eval/loss", "eval/accuracy"):
            if name in self._last:
                parts.append(f"{name} {self._last[name]:.4f}")
        done = round - self._began_at
        if done:
            each = (time.monotonic() - self._began) / done
            parts.append(f"{each:.2f} s/epoch")
            if round < self._rounds:
                parts.append(f"{duration(each * (self._rounds - round))} left")
        return "  ".join(parts)
