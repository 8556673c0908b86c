"""The mean curve of a group of seeds, and its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedcli.report.load import Run
from fedcli.report.measure import Against, positions
from fedcli.report.statistics import is_finite, summarize

#: A loss beyond it has diverged: drawn, it would flatten all else, and squared, it is no finite number.
LARGEST = 1e100


@dataclass(frozen=True)
class Curve:
    """A metric against what was spent; all lists are of one length.

    Attributes:
        x: Rounds, bits sent up, or seconds (real or simulated), so far; the mean over the seeds.
        y: The metric's mean over the seeds.
        spread: Its sample standard deviation over the seeds; empty with one seed.
    """

    x: list[float]
    y: list[float]
    spread: list[float]


def mean_curve(runs: Sequence[Run], metric: str, against: Against) -> Curve:
    """Averages the curves of runs of one config.

    Only rounds that all runs measured count: were a run to drop out midway, the mean would jump for no reason
    of training. Runs without any finite value are left out.
    """
    tables = [table for run in runs if (table := _points(run, metric, against))]
    if not tables:
        return Curve([], [], [])
    common = sorted(set(tables[0]).intersection(*tables[1:]))
    x, y, spread = [], [], []
    for round in common:
        place = summarize([table[round][0] for table in tables])
        value = summarize([table[round][1] for table in tables])
        assert place.mean is not None
        assert value.mean is not None
        x.append(place.mean)
        y.append(value.mean)
        if value.spread is not None:
            spread.append(value.spread)
    return Curve(x, y, spread)


def _points(run: Run, metric: str, against: Against) -> dict[float, tuple[float, float]]:
    """By round: where the row stands, and its value."""
    points = {}
    for row, place in zip(run.rows, positions(run.rows, against), strict=True):
        value, round = row.get(metric), row["round"]
        if round is not None and is_finite(value) and is_finite(place) and abs(value) < LARGEST:
            points[float(round)] = (float(place), float(value))
    return points
