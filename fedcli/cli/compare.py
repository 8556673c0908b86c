"""`fedcli compare`: from many runs to a finding. Imports no TensorFlow, and no Hydra."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedcli.cli import options
from fedcli.cli.console import can_show, output
from fedcli.cli.errors import shown_errors
from fedcli.shell import printable, shown_path

if TYPE_CHECKING:
    from fedcli.report.results import Comparison, GroupResult
    from fedcli.report.table import Column

#: A wider plot shows no more.
_WIDEST_PLOT = 100


class Against(StrEnum):
    """What curves are drawn against."""

    ROUND = "round"
    BITS = "bits"
    SECONDS = "seconds"
    SIMULATED_SECONDS = "simulated_seconds"


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN|DIR...", help="Runs, or folders that hold runs: a sweep, outputs.")
    ],
    metric: Annotated[
        str, typer.Option("--metric", metavar="METRIC", help="The column of metrics.csv that counts.")
    ] = "eval/accuracy",
    against: Annotated[Against, typer.Option("--against", help="What the curves are drawn against.")] = Against.ROUND,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            metavar="KEY=VALUE",
            help="The group that others are compared with; several narrow it down.",
            show_default="the first",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="METRIC=VALUE", help="Show the rounds, bits and seconds to reach it."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", metavar="COLUMN", help="Best or cheapest first; -COLUMN reversed.", show_default="as found"
        ),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", metavar="N", help="Show N groups, the best by default.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="A,B,...",
            help="Config keys, metrics, and: group seeds rounds final best difference up down ratio down_ratio "
            "epsilon seconds target front.",
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV, numbers in full.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print the table as Markdown.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report in one file.")] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Write the curves, as PNG, or as SVG if named .svg.")
    ] = None,
    plot: Annotated[
        bool | None,
        typer.Option("--plot/--no-plot", help="Draw the curves as text.", show_default="if this is a terminal"),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Compares runs: groups those that differ only in their seed, with means, spreads and intervals.

    Runs that are broken, unfinished or still running are listed, but enter no mean.
    """
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        from fedcli.directions import direction
        from fedcli.errors import UsageError
        from fedcli.report import table
        from fedcli.report.comparison import compare, count
        from fedcli.report.load import load_runs
        from fedcli.report.measure import Target
        from fedcli.report.results import Question

        if json + csv + md > 1:
            raise UsageError("--json, --csv and --md exclude each other", "choose one; --html FILE goes with each")
        if top is not None and top < 1:
            raise UsageError(f"--top {top}: not a number of groups", "give 1 or more")
        question = Question(
            metric,
            against.value,
            None if target is None else Target.parse(target),
            [_pair(text) for text in baseline or ()],
        )
        comparison = compare(load_runs(paths), question)
        if top is not None and sort is None and direction(metric) is None:
            raise UsageError(
                f"--top {top}: neither more nor less {metric} is known to be better, so no group is the best",
                "say by which column: --sort final (the smallest first), --sort=-final or another",
            )
        chosen = table.columns(comparison, None if columns is None else _names(columns))
        # The first N of no order would be any N.
        groups = table.ordered(comparison, sort or (None if top is None else "final"))
        if top is not None and top < len(groups):
            comparison.notes.append(f"not shown: {count(len(groups) - top, 'group')} more (--top {top})")
            groups = groups[:top]
        # Where the differences follow in words, the table need not have them too.
        lean = [item for item in chosen if columns is not None or item.name != "difference"]
        written = _write_files(comparison, groups, lean, html, png)
        try:
            if json:
                from fedcli.report.document import document

                output.document(document(comparison, groups) | {"files": [str(path) for path in written]})
            elif csv:
                output.result(table.as_csv(chosen, groups))
                _say_notes(comparison)
            elif md:
                output.result(table.as_markdown(chosen, groups))
                _say_notes(comparison)
            else:
                _show(comparison, groups, chosen if quiet else lean, fit=columns is None, plot=plot)
            sys.stdout.flush()
        finally:
            for path in written:
                output.say(f"written: {shown_path(path)}")


def _show(
    comparison: Comparison, groups: Sequence[GroupResult], chosen: Sequence[Column], fit: bool, plot: bool | None
) -> None:
    """Prints the table, and what else a reader must know."""
    from fedcli.report import terminal

    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns
    if groups:
        extra = [key for key in reversed(comparison.keys) if key not in comparison.label_keys]
        text, left_out = terminal.table(chosen, groups, width if fit and is_terminal else None, extra)
        output.result(text)
        if left_out:
            output.result(f"(hidden because the terminal is narrow: {', '.join(left_out)}; --columns chooses)\n")
    if output.verbosity < 0:
        return
    if plot or (plot is None and is_terminal and groups):
        from fedcli.report.braille import EVERY_DOT, draw_braille
        from fedcli.report.chart import curves_chart

        chart = curves_chart(comparison, groups, comparison.question.against)
        color = is_terminal and "NO_COLOR" not in os.environ
        if can_show(EVERY_DOT):
            output.result("\n" + draw_braille(chart, min(width, _WIDEST_PLOT), color=color))
        else:
            output.result(f"\n(no curves: {sys.stdout.encoding} has no characters for them; --png FILE draws them)\n")
    for text in (terminal.differences(comparison, groups), terminal.not_counted(comparison)):
        if text:
            output.result("\n" + text)
    if comparison.notes:
        output.result("\n" + "".join(f"note: {printable(note)}\n" for note in comparison.notes))


def _write_files(
    comparison: Comparison, groups: Sequence[GroupResult], chosen: Sequence[Column], html: Path | None, png: Path | None
) -> list[Path]:
    """Writes the report and the picture that were asked for.

    Raises:
        UsageError: The picture's form is unknown, or there is nothing to draw.
        RunDirectoryError: A file cannot be written.
    """
    from fedcli.cli.used_folder import refuse_in_a_run
    from fedcli.runs.atomic import write_text

    written = []
    for option, file in (("--png", png), ("--html", html)):
        if file is not None:
            refuse_in_a_run(file, option)
    if png is not None:
        from fedcli.errors import UsageError
        from fedcli.report.chart import curves_chart

        chart = curves_chart(comparison, groups, comparison.question.against)
        if chart.is_empty:
            raise UsageError(
                f"{png}: no completed run has a value of {comparison.question.metric} to draw",
                "choose another --metric",
            )
        if png.suffix == ".svg":
            from fedcli.report.svg import draw_svg

            write_text(png, draw_svg(chart, standalone=True) + "\n")
        elif png.suffix == ".png":
            from fedcli.report.png import write_png

            write_png(chart, png)
        else:
            raise UsageError(f"--png {png}: neither .png nor .svg", "choose a name that ends in one of them")
        written.append(png)
    if html is not None:
        from fedcli.report.html import render_html

        write_text(html, render_html(comparison, groups, chosen))
        written.append(html)
    return written


def _say_notes(comparison: Comparison) -> None:
    from fedcli.report import terminal

    if comparison.not_counted:
        output.say(terminal.not_counted(comparison).rstrip("\n"))
    for note in comparison.notes:
        output.say(f"note: {printable(note)}")


def _pair(text: str) -> tuple[str, str]:
    from fedcli.errors import UsageError

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--baseline {text}: not KEY=VALUE", "for example --baseline aggregator=mean")
    return key, value


def _names(text: str) -> list[str]:
    from fedcli.errors import UsageError

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--columns names no column", "for example --columns group,seeds,final,up")
    return names
