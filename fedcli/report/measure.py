"""What one run's metrics come to: final, best, totals, and when it reached a target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fedcli.columns import Direction
from fedcli.directions import direction
from fedcli.errors import UsageError
from fedcli.report.statistics import is_finite
from fedcli.runs.metrics import Row

Against = Literal["round", "bits", "seconds", "simulated_seconds"]


@dataclass(frozen=True)
class Target:
    """A value to reach: at least, or at most where less is better.

    Attributes:
        metric: A column of metrics.csv that has a direction.
        value: In the metric's unit.
    """

    metric: str
    value: float

    @property
    def relation(self) -> str:
        """How values that reach the target compare with it: `≥` or `≤`."""
        return "≤" if direction(self.metric) is Direction.MINIMIZE else "≥"

    def is_reached(self, value: float) -> bool:
        """Tells whether a value is as good as the target, or better."""
        return value <= self.value if direction(self.metric) is Direction.MINIMIZE else value >= self.value

    @classmethod
    def parse(cls, text: str) -> Target:
        """Reads `METRIC=VALUE`.

        Raises:
            UsageError: It has another form.
        """
        metric, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not metric or not is_finite(number):
            raise UsageError(f"--target {text}: not METRIC=NUMBER", "for example --target eval/accuracy=0.95")
        return cls(metric, number)


@dataclass(frozen=True)
class Arrival:
    """The first evaluated round at which a run reached a target, and what it had spent by then.

    Attributes:
        round: Rounds of training.
        aggregated_bits: Sent by clients in all rounds until then.
        broadcasted_bits: Sent to clients, likewise.
        seconds: Of training and aggregation, likewise.
        simulated_seconds: Of the simulated devices, likewise; None where none were.
    """

    round: float
    aggregated_bits: float | None
    broadcasted_bits: float | None
    seconds: float
    simulated_seconds: float | None


def final(rows: Sequence[Row], metric: str) -> float | None:
    """Returns the last value that was measured, which may be NaN."""
    return next((value for row in reversed(rows) if (value := row.get(metric)) is not None), None)


def best(rows: Iterable[Row], metric: str) -> float | None:
    """Returns the best finite value; None where there is none, or neither more nor less is better."""
    better = direction(metric)
    values = [value for row in rows if is_finite(value := row.get(metric))]
    if not values or better is None:
        return None
    return max(values, key=lambda value: better.sign * value)


def seconds(rows: Iterable[Row]) -> list[float]:
    """Returns the seconds spent up to each row. Rows without a time add nothing."""
    total = 0.0
    spent = []
    for row in rows:
        if is_finite(value := row.get("seconds")):
            total += value
        spent.append(total)
    return spent


def arrival(rows: Sequence[Row], target: Target) -> Arrival | None:
    """Finds the first evaluated row that reaches a target; None if none does."""
    for row, spent in zip(rows, seconds(rows), strict=True):
        value = row.get(target.metric)
        if is_finite(value) and target.is_reached(value):
            return Arrival(
                row["round"] or 0,
                row.get("aggregated_bits"),
                row.get("broadcasted_bits"),
                spent,
                row.get("simulated_seconds"),
            )
    return None


def positions(rows: Sequence[Row], against: Against) -> list[float | None]:
    """Returns where each row stands: rounds, bits sent up so far, or seconds so far, real or simulated."""
    if against == "seconds":
        return [*seconds(rows)]
    return [row.get("aggregated_bits" if against == "bits" else against) for row in rows]
