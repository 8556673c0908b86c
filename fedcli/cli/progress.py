"""Shows a run: one live line in a terminal, a plain line every few rounds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from fedcli.cli.console import output
from fedcli.runs.metrics import Row

#: At most about so many plain lines a run.
_LINES = 20


class RunProgress:
    """An observer that writes to stderr. A context manager: leaving it takes the live line away.

    Args:
        label: What each line begins with: which job of a sweep it is.
    """

    def __init__(self, label: str = "") -> None:
        self._label = f"{label}  " if label else ""
        self._live: Any = None
        self._rounds = 0
        self._began_at = 0
        self._shown_at = 0
        self._began = time.monotonic()
        self._last: dict[str, Any] = {}
        if sys.stderr.isatty() and output.verbosity >= 0:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)

    def __enter__(self) -> RunProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live is not None:
            self._live.stop()

    def preparing(self, what: str) -> None:
        """Something slow before the first round begins."""
        self._show(f"{what} ...", plain=output.verbosity > 0)

    def started(self, round: int, rounds: int) -> None:
        """The rounds begin."""
        self._rounds, self._began_at, self._shown_at = rounds, round, round
        self._began = time.monotonic()
        if round:
            output.say(f"resumed after round {round} of {rounds}")

    def row(self, row: Row) -> None:
        """A round is done."""
        self._last.update({name: value for name, value in row.items() if value is not None})
        round = int(row["round"] or 0)
        is_evaluated = row.get("eval/accuracy") is not None
        is_due = round - self._shown_at >= self._rounds / _LINES
        plain = round in (0, self._rounds) or (is_evaluated and is_due)
        if plain:
            self._shown_at = round
        self._show(self._line(round), plain)

    def stopping(self) -> None:
        """The user asked to stop."""
        output.say("stopping after this round (once more to stop at once) ...")

    def _line(self, round: int) -> str:
        parts = [f"round {round}/{self._rounds}"]
        for name in ("train/loss", "eval/loss", "eval/accuracy"):
            if name in self._last:
                parts.append(f"{name} {self._last[name]:.4f}")
        done = round - self._began_at
        if done:
            up, down = self._last["aggregated_bits"], self._last["broadcasted_bits"]
            each = (time.monotonic() - self._began) / done
            parts.append(f"{mebibits(down)} down, {mebibits(up)} up")
            parts.append(f"{each:.2f} s/round")
            if round < self._rounds:
                parts.append(f"{duration(each * (self._rounds - round))} left")
        return "  ".join(parts)

    def _show(self, line: str, plain: bool) -> None:
        if self._live is not None:
            self._live.update(self._label + line)
        elif plain:
            output.say(self._label + line)


def mebibits(bits: float) -> str:
    """Writes a number of bits in Mibit (2^20 bits)."""
    return f"{bits / 2**20:,.1f} Mibit"


def duration(seconds: float) -> str:
    """Writes a time span: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
