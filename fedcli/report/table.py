"""The table of groups: which columns, which order, as text and as numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedcli.columns import Direction
from fedcli.directions import direction
from fedcli.errors import UsageError
from fedcli.report import text
from fedcli.report.comparison import full_key
from fedcli.report.group import ABSENT, short_key, shown_value
from fedcli.report.privacy import EPSILON, epsilon, epsilon_text, has_privacy
from fedcli.report.results import Comparison, GroupResult
from fedcli.runs.csv_cells import safe_cell
from fedcli.shell import printable
from fedcli.suggest import did_you_mean

_Number = float | None


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: What `--columns` and `--sort` call it.
        title: Its heading.
        text: What people see of a group.
        value: What it is sorted by: a number or a text; None comes last.
        fields: What programs see: (heading, number or text) of a group.
        best_first: Whether large values come first when sorted by it.
        is_number: Whether it is set to the right.
    """

    name: str
    title: str
    text: Callable[[GroupResult], str]
    value: Callable[[GroupResult], float | str | None]
    fields: Callable[[GroupResult], list[tuple[str, object]]]
    best_first: bool = False
    is_number: bool = True


#: Dropped in this order where a terminal is too narrow.
DISPENSABLE = ("seconds", "down", "rounds", "best", "difference", "ratio")

#: Shown where runs have them: the accuracy that 10 % of the clients do not reach, and how it differs between clients.
FAIRNESS = ("clients/accuracy_p10", "clients/accuracy_std", "personal/accuracy_p10", "personal/accuracy_mean")


def default_columns(comparison: Comparison) -> list[str]:
    """Names the columns of the table where none are asked for."""
    target = ["target"] if comparison.question.target else []
    fixed = ["seeds", "rounds", "final", "best", "difference", "up", "down", "ratio", "seconds", *target, "front"]
    if comparison.question.against == "simulated_seconds" and comparison.groups:
        fixed.insert(fixed.index("seconds"), "simulated_seconds")
    if len(comparison.groups) < 2:
        fixed.remove("difference")
    if direction(comparison.question.metric) is None:  # no value is the best, and no group beats another
        fixed = [name for name in fixed if name not in ("best", "front")]
    if has_privacy(comparison.groups):
        fixed.insert(fixed.index("final") + 1 + ("best" in fixed), EPSILON)
    fixed += [metric for metric in FAIRNESS if metric in comparison.metrics]
    # The key `rounds` is what was asked for, the column what was done: one is enough. Keys that also differ, but
    # are not needed to tell the groups apart, come last: they must be seen, but not before the result.
    return list(dict.fromkeys(["group", *comparison.label_keys, *fixed, *comparison.keys]))


def columns(comparison: Comparison, names: Sequence[str] | None = None) -> list[Column]:
    """Returns the columns by name: config keys, metrics, and `group seeds rounds final best ...`.

    Raises:
        UsageError: There is no such column.
    """
    if names is None:
        names = default_columns(comparison)
    return [column(comparison, name) for name in names]


def column(comparison: Comparison, name: str) -> Column:
    """Returns a column by its name.

    Raises:
        UsageError: There is no such column.
    """
    fixed = _fixed_columns(comparison)
    if name in fixed:
        return fixed[name]
    if name in comparison.metrics:
        return _metric_column(name, name, name, lambda result: result.final[name])
    known = list(dict.fromkeys(key for result in comparison.groups for key in result.group.config))
    key = full_key(name, known)
    if key is not None:
        return _key_column(key)
    if not comparison.groups:  # nothing to show, so nothing to complain about
        return _key_column(name)
    close = [*fixed, *comparison.metrics, *map(short_key, comparison.keys)]
    raise UsageError(f"{name}: no such column", did_you_mean(name, close[:20], "choose a config key, a metric or"))


def ordered(comparison: Comparison, sort: str | None) -> list[GroupResult]:
    """Returns the groups by a column, the best metric or the least cost first; a leading `-` turns it round.

    Raises:
        UsageError: There is no such column.
    """
    if sort is None:
        return list(comparison.groups)
    by = column(comparison, sort.removeprefix("-"))
    present = [result for result in comparison.groups if by.value(result) is not None]
    absent = [result for result in comparison.groups if by.value(result) is None]
    numbers_first = {float: 0, int: 0, bool: 0}

    def key(result: GroupResult) -> tuple[int, object]:
        value = by.value(result)
        return numbers_first.get(type(value), 1), value

    return sorted(present, key=key, reverse=by.best_first != sort.startswith("-")) + absent


def as_csv(chosen: Sequence[Column], groups: Sequence[GroupResult]) -> str:
    """Writes the table for programs: numbers in full, an empty cell where there is none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    rows = [[field for column in chosen for field in column.fields(result)] for result in groups]
    if rows:
        writer.writerow([safe_cell(name) for name, _ in rows[0]])
    else:
        writer.writerow([safe_cell(column.name) for column in chosen])
    for row in rows:
        cells = ["" if value is None else value for _, value in row]
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return file.getvalue()


def as_markdown(chosen: Sequence[Column], groups: Sequence[GroupResult]) -> str:
    """Writes the table for a README."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |\n"

    def escaped(cell: str) -> str:
        cell = printable(cell).replace("\\", "\\\\").replace("|", "\\|")
        return cell.replace("<", "&lt;").replace("`", "\\`").replace("*", "\\*")

    rows = [line([escaped(column.text(result)) for column in chosen]) for result in groups]
    marks = line(["---:" if column.is_number else "---" for column in chosen])
    return line([escaped(column.title) for column in chosen]) + marks + "".join(rows)


def _fixed_columns(comparison: Comparison) -> dict[str, Column]:
    question = comparison.question
    metric = question.metric
    base = comparison.baseline.name if comparison.baseline else "baseline"
    found = [
        Column(
            "group",
            "",
            lambda result: result.name,
            lambda result: comparison.groups.index(result),
            lambda result: [("group", result.name)],
            is_number=False,
        ),
        _number_column("seeds", "seeds", lambda result: result.seeds, text.whole),
        Column(
            "rounds",
            "rounds",
            lambda result: "-".join(map(str, dict.fromkeys(result.rounds))),
            lambda result: result.rounds[1],
            lambda result: [("rounds_min", result.rounds[0]), ("rounds_max", result.rounds[1])],
        ),
        _metric_column("final", metric, metric, lambda result: result.final[metric]),
        _metric_column("best", "best", metric, lambda result: result.best[metric], prefix="best "),
        Column(
            "difference",
            f"{metric} - {base}, 95 % interval",
            lambda result: "baseline" if result is comparison.baseline else text.difference(result.difference),
            lambda result: result.difference.value if result.difference else None,
            _difference_fields,
            best_first=_is_larger_first(metric),
        ),
        _number_column("up", "up", lambda result: result.aggregated_bits.mean, text.mebibits, "aggregated_bits"),
        _number_column("down", "down", lambda result: result.broadcasted_bits.mean, text.mebibits, "broadcasted_bits"),
        _number_column(
            "ratio",
            f"up, to {base}",
            lambda result: result.aggregated_ratio,
            text.ratio,
            "aggregated_ratio",
            best_first=True,
        ),
        _number_column(
            "down_ratio",
            f"down, to {base}",
            lambda result: result.broadcasted_ratio,
            text.ratio,
            "broadcasted_ratio",
            best_first=True,
        ),
        Column(EPSILON, "epsilon", epsilon_text, epsilon, lambda result: [(EPSILON, epsilon(result))]),
        _number_column("seconds", "time", lambda result: result.seconds.mean, text.seconds),
        Column(
            "front",
            "Pareto",
            lambda result: "*" if result.on_front else "",
            lambda result: None if result.on_front is None else 0 if result.on_front else 1,
            lambda result: [("pareto_front", result.on_front and int(result.on_front))],
            is_number=False,
        ),
    ]
    if question.target:
        title = f"{question.target.metric} {question.target.relation} "
        found.append(
            Column(
                "target",
                f"{title}{question.target.value:g} at",
                _arrival_text,
                lambda result: result.arrivals.round.mean if result.arrivals else None,
                _arrival_fields,
            )
        )
    return {item.name: item for item in found}


def _number_column(
    name: str,
    title: str,
    value: Callable[[GroupResult], _Number],
    show: Callable[[_Number], str],
    field: str | None = None,
    best_first: bool = False,
) -> Column:
    return Column(
        name,
        title,
        lambda result: show(value(result)),
        value,
        lambda result: [(field or name, value(result))],
        best_first,
    )


def _metric_column(
    name: str, title: str, metric: str, summary: Callable[[GroupResult], text.Summary], prefix: str = ""
) -> Column:
    return Column(
        name,
        title,
        lambda result: text.with_spread(summary(result)),
        lambda result: summary(result).mean,
        lambda result: [
            (f"{prefix}{metric}", summary(result).mean),
            (f"{prefix}{metric} sd", summary(result).spread),
            (f"{prefix}{metric} n", summary(result).n),
        ],
        best_first=_is_larger_first(metric),
    )


def _is_larger_first(metric: str) -> bool:
    """Tells whether large values of a metric come first: the better values do; without a direction, small ones."""
    return direction(metric) is Direction.MAXIMIZE


def _key_column(key: str) -> Column:
    def value(result: GroupResult) -> float | str | None:
        found = result.group.config.get(key)
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        return found if is_number else shown_value(found) if key in result.group.config else None

    def show(result: GroupResult) -> str:
        return shown_value(result.group.config[key]) if key in result.group.config else ABSENT

    def fields(result: GroupResult) -> list[tuple[str, object]]:
        return [(short_key(key), show(result) if key in result.group.config else None)]

    return Column(key, short_key(key), show, value, fields, is_number=False)


def _difference_fields(result: GroupResult) -> list[tuple[str, object]]:
    found = result.difference
    return [
        ("difference", found and found.value),
        ("difference low", found and found.low),
        ("difference high", found and found.high),
    ]


def _arrival_text(result: GroupResult) -> str:
    found = result.arrivals
    if found is None or not found.reached:
        return "never"
    parts = [f"round {text.whole(found.round.mean)}", f"{text.mebibits(found.aggregated_bits.mean)} up"]
    parts.append(text.seconds(found.seconds.mean))
    if found.simulated_seconds.mean is not None:
        parts.append(f"{text.seconds(found.simulated_seconds.mean)} simulated")
    share = "" if found.reached == found.of else f" ({found.reached} of {found.of} seeds)"
    return ", ".join(parts) + share


def _arrival_fields(result: GroupResult) -> list[tuple[str, object]]:
    found = result.arrivals
    return [
        ("target reached", found and found.reached),
        ("target round", found and found.round.mean),
        ("target aggregated_bits", found and found.aggregated_bits.mean),
        ("target broadcasted_bits", found and found.broadcasted_bits.mean),
        ("target seconds", found and found.seconds.mean),
        ("target simulated_seconds", found and found.simulated_seconds.mean),
    ]
