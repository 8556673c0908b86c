"""What a picture shows, before any form of it is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fedcli.directions import direction
from fedcli.report.curves import LARGEST, mean_curve
from fedcli.report.measure import Against
from fedcli.report.results import Comparison, GroupResult

#: More curves cannot be told apart.
MOST_CURVES = 10
#: Bits of methods differ by orders of magnitude: beyond this ratio of the ends, the axis is logarithmic.
_LOG_BEYOND = 20
_X_LABELS = {
    "round": "round",
    "bits": "Mibit sent up, all clients and rounds",
    "seconds": "seconds of training",
    "simulated_seconds": "simulated seconds",
}


@dataclass(frozen=True)
class Series:
    """One curve, or one cloud of points.

    Attributes:
        name: The group's letter.
        label: What it stands for.
        index: Chooses the colour: the group's place in the comparison.
        x: In the chart's unit.
        y: The metric.
        low: Lower edge of the band; empty without one.
        high: Upper edge.
    """

    name: str
    label: str
    index: int
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    """A picture of curves.

    Attributes:
        title: Above it.
        x_label: Below it.
        y_label: Beside it.
        series: At least one point in all of them together, else there is nothing to draw.
        log_x: Whether the x axis is logarithmic.
        is_scatter: Points, not lines.
        y_line: Draws a line across at this value: the target.
    """

    title: str
    x_label: str
    y_label: str
    series: list[Series]
    log_x: bool = False
    is_scatter: bool = False
    y_line: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(series.x for series in self.series)

    def x_range(self) -> tuple[float, float]:
        """Returns the ends of the x axis, never the same."""
        return _apart([value for series in self.series for value in series.x], log=self.log_x)

    def y_range(self, bands: bool = True) -> tuple[float, float]:
        """Returns the ends of the y axis, bands (if asked for) and the target included, never the same."""
        values = [value for series in self.series for value in series.y]
        if bands:
            values += [value for series in self.series for value in [*series.low, *series.high]]
        return _apart(values + ([] if self.y_line is None else [self.y_line]))


def drawn_groups(comparison: Comparison, groups: Sequence[GroupResult]) -> list[GroupResult]:
    """Chooses the groups that are drawn: the baseline and the best, in the order given.

    Of a metric without a direction no group is the best: the first ones are drawn.
    """
    if len(groups) <= MOST_CURVES:
        return list(groups)
    metric = comparison.question.metric
    better = direction(metric)

    def rank(result: GroupResult) -> tuple[bool, float]:
        mean = result.final[metric].mean
        quality = -math.inf if mean is None else mean * better.sign if better else 0.0
        return result is not comparison.baseline, -quality

    kept = {result.name for result in sorted(groups, key=rank)[:MOST_CURVES]}
    return [result for result in groups if result.name in kept]


def curves_chart(comparison: Comparison, groups: Sequence[GroupResult], against: Against) -> Chart:
    """Builds the chart of the metric against rounds, bits or time, with bands of one standard deviation."""
    question = comparison.question
    series = []
    for result in drawn_groups(comparison, groups):
        curve = mean_curve(result.group.runs, question.metric, against)
        x = [value / 2**20 for value in curve.x] if against == "bits" else curve.x
        low = [y - spread for y, spread in zip(curve.y, curve.spread, strict=False)]
        high = [y + spread for y, spread in zip(curve.y, curve.spread, strict=False)]
        series.append(Series(result.name, result.label, _index(result, comparison), x, curve.y, low, high))
    log_x = against == "bits" and _is_wide([max(item.x) for item in series if item.x])
    if log_x:
        series = [_positive(item) for item in series]
    target = question.target
    line = target.value if target and target.metric == question.metric else None
    title = f"{question.metric} against {'rounds' if against == 'round' else against.replace('_', ' ')}"
    return Chart(title, _X_LABELS[against], question.metric, series, log_x, y_line=line)


def front_chart(comparison: Comparison, groups: Sequence[GroupResult]) -> Chart:
    """Builds the chart of each group's final metric against its bits."""
    metric = comparison.question.metric
    series = []
    for result in drawn_groups(comparison, groups):
        bits, value = result.aggregated_bits.mean, result.final[metric].mean
        if bits is None or value is None or abs(value) > LARGEST:
            continue
        spread = result.final[metric].spread
        band = ([], []) if spread is None or spread > LARGEST else ([value - spread], [value + spread])
        label = f"{result.label}{' (Pareto front)' if result.on_front else ''}"
        series.append(Series(result.name, label, _index(result, comparison), [bits / 2**20], [value], *band))
    log_x = _is_wide([item.x[0] for item in series])
    title = f"final {metric} against bits"
    return Chart(title, _X_LABELS["bits"], metric, series, log_x, is_scatter=True)


def _index(result: GroupResult, comparison: Comparison) -> int:
    return next(index for index, other in enumerate(comparison.groups) if other is result)


def _is_wide(ends: Sequence[float]) -> bool:
    return len(ends) > 1 and min(ends) > 0 and max(ends) / min(ends) > _LOG_BEYOND


def _positive(series: Series) -> Series:
    """Leaves out the untrained model, which has cost nothing: a logarithmic axis has no zero."""
    keep = [index for index, value in enumerate(series.x) if value > 0]

    def kept(values: list[float]) -> list[float]:
        return [values[index] for index in keep] if values else []

    return Series(
        series.name, series.label, series.index, kept(series.x), kept(series.y), kept(series.low), kept(series.high)
    )


def _apart(values: Sequence[float], log: bool = False) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)] or [1.0 if log else 0.0]
    low, high = min(finite), max(finite)
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-12, 1e-100):  # closer than that, dividing by the difference means nothing
        return low, high
    if log:
        return low / 2, high * 2
    margin = size / 2 if size > 1e-100 else 0.5
    return low - margin, high + margin


#: Okabe and Ito's colours, told apart by colour-blind readers too (https://jfly.uni-koeln.de/color/), without
#: their black and yellow, which vanish on a dark or a light page.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
