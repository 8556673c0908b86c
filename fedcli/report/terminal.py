"""Shows the comparison to people: a table, the differences in words, what was not counted, the curves."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fedcli.report import measure, text
from fedcli.report.comparison import verdict
from fedcli.report.load import Run
from fedcli.report.results import Comparison, GroupResult
from fedcli.report.table import DISPENSABLE, Column
from fedcli.shell import printable

_GAP = "  "


def table(
    chosen: Sequence[Column], groups: Sequence[GroupResult], width: int | None, dispensable: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Lays out the table, one group a line.

    Args:
        chosen: The columns.
        groups: The rows.
        width: Characters of a line; None for as many as it takes.
        dispensable: Columns to leave out first where they do not fit; `DISPENSABLE` follow.

    Returns:
        The lines, and the names of columns that had to be left out to fit.
    """
    left_out: list[str] = []
    kept = list(chosen)
    cells = {column.name: [printable(cell) for cell in (column.title, *map(column.text, groups))] for column in kept}
    widths = {name: max(map(len, column)) for name, column in cells.items()}

    def needed() -> int:
        return sum(widths[column.name] for column in kept) + len(_GAP) * (len(kept) - 1)

    for name in (*dispensable, *DISPENSABLE):
        if width is None or needed() <= width:
            break
        if name in widths and len(kept) > 1:
            kept = [column for column in kept if column.name != name]
            left_out.append(name)
    lines = []
    for row in range(len(groups) + 1):
        parts = [
            f"{cells[column.name][row]:{'>' if column.is_number else '<'}{widths[column.name]}}" for column in kept
        ]
        lines.append(_GAP.join(parts).rstrip())
    return "\n".join(lines) + "\n", left_out


def differences(comparison: Comparison, groups: Sequence[GroupResult]) -> str:
    """Writes each difference to the baseline with what it is worth."""
    base, metric = comparison.baseline, comparison.question.metric
    others = [result for result in groups if result is not base]
    if base is None or not others:
        return ""
    lines = [f"{metric} against the baseline {base.name} ({base.label}), 95 % interval over seeds (Welch):"]
    for result in others:
        amount = f"{text.difference(result.difference)}  " if result.difference else ""
        lines.append(f"  {result.name} ({result.label}): {amount}{verdict(result, base, metric)}")
    return "\n".join(map(printable, lines)) + "\n"


def not_counted(comparison: Comparison) -> str:
    """Lists the runs that enter no mean, with how far they came."""
    if not comparison.not_counted:
        return ""
    metric = comparison.question.metric
    rows = [
        (run.status, _progress(run, metric), shown_folder(run), printable(run.problem))
        for run in comparison.not_counted
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["not counted:"]
    lines += [
        "  " + _GAP.join(f"{cell:<{width}}" for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def shown_folder(run: Run) -> str:
    """Writes a run's folder as short as it works from the current folder."""
    relative = os.path.relpath(run.folder)
    return printable(str(run.folder) if relative.startswith("..") else relative)


def _progress(run: Run, metric: str) -> str:
    if not run.rows:
        return "no rounds"
    value = measure.final(run.rows, metric)
    return f"round {run.rows[-1]['round']}" + ("" if value is None else f", {metric} {text.number(value)}")
