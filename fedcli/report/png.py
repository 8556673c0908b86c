"""Draws a chart as PNG, with Matplotlib, which is imported only here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from fedcli.errors import UsageError
from fedcli.report.chart import COLORS, Chart
from fedcli.runs.atomic import atomic_path
from fedcli.shell import printable

_LINES = ("-", "--", ":")


def write_png(chart: Chart, path: Path) -> None:
    """Writes a chart to a file, whole or not at all.

    Raises:
        UsageError: Matplotlib is not installed.
        RunDirectoryError: The file cannot be written.
    """
    try:
        # Not pyplot: no window system, no global state.
        figure_module: Any = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UsageError(
            f"{path}: a PNG needs Matplotlib, which is not installed", "choose a name that ends in .svg, or --html"
        ) from error
    figure = figure_module.Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for series in chart.series:
        color = COLORS[series.index % len(COLORS)]
        style = _LINES[series.index // len(COLORS) % len(_LINES)]
        marker = "o" if len(series.x) == 1 else ""
        label = _plain(f"{series.name}  {series.label}"[:100])
        axes.plot(series.x, series.y, style, color=color, label=label, marker=marker)
        if series.low:
            axes.fill_between(series.x, series.low, series.high, color=color, alpha=0.18, linewidth=0)
    if chart.y_line is not None:
        axes.axhline(chart.y_line, color="black", linestyle=":", linewidth=1)
    if chart.log_x:
        axes.set_xscale("log")
    axes.set(xlabel=_plain(chart.x_label), ylabel=_plain(chart.y_label), title=_plain(chart.title))
    axes.grid(alpha=0.3)
    if chart.series:
        axes.legend(loc="best", fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _plain(text: str) -> str:
    """Keeps Matplotlib from reading a dollar as mathematics."""
    return printable(text).replace("$", r"\$")
