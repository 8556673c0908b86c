"""The report as one HTML file that asks for nothing else: no script, font or picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from fedcli import __version__
from fedcli.directions import direction
from fedcli.report import measure, table, text
from fedcli.report.chart import MOST_CURVES, curves_chart, front_chart
from fedcli.report.comparison import verdict
from fedcli.report.group import ABSENT, differing_keys, shown_value
from fedcli.report.html_page import SCRIPT, STYLE
from fedcli.report.load import Run
from fedcli.report.measure import Against
from fedcli.report.results import Comparison, GroupResult
from fedcli.report.samples import read_samples
from fedcli.report.svg import draw_svg
from fedcli.report.terminal import shown_folder
from fedcli.runs.directory import RunDirectory
from fedcli.shell import printable

#: The browser enforces it: nothing is loaded from anywhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def render_html(comparison: Comparison, groups: Sequence[GroupResult], chosen: Sequence[table.Column]) -> str:
    """Writes the report.

    Args:
        comparison: The answer.
        groups: Its groups, as sorted and cut by the user.
        chosen: The table's columns.
    """
    metric = comparison.question.metric
    title = f"fedcli compare: {metric}"
    body = [
        f"<h1>{_text(title)}</h1>",
        _summary(comparison, groups),
        _section("Groups", _groups_table(comparison, groups, chosen), _groups_hint(comparison)),
        _section("Differences to the baseline", _differences(comparison, groups)),
        _section("Curves", _curves(comparison, groups), _curves_hint(comparison, groups)),
        _section("Config differences", _config_differences(comparison)),
        _section("Not counted", _not_counted(comparison), "These runs enter no mean, curve or interval."),
        _section("Runs and their environment", _environment(comparison)),
        _section("Sample texts", _samples(comparison)),
    ]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f"{''.join(body)}<footer>fedcli {_text(__version__)}, {made}</footer>\n<script>{SCRIPT}</script>\n"
        "</body>\n</html>\n"
    )


def _summary(comparison: Comparison, groups: Sequence[GroupResult]) -> str:
    metric = comparison.question.metric
    counted = sum(result.seeds for result in comparison.groups)
    facts = [("runs compared", str(counted)), ("groups", str(len(comparison.groups)))]
    facts.append(("not counted", str(len(comparison.not_counted))))
    with_value = [result for result in groups if result.final[metric].mean is not None]
    if with_value:
        if better := direction(metric):
            best = max(with_value, key=lambda result: better.sign * (result.final[metric].mean or 0))
            facts.append((f"best mean {metric}: {best.name}", text.with_spread(best.final[metric])))
        with_bits = [result for result in with_value if result.aggregated_bits.mean is not None]
        if with_bits:
            least = min(with_bits, key=lambda result: result.aggregated_bits.mean or 0)
            facts.append((f"fewest bits up: {least.name}", text.mebibits(least.aggregated_bits.mean)))
    cards = "".join(f"<div><b>{_text(value)}</b><span>{_text(name)}</span></div>" for name, value in facts)
    notes = "".join(f"<li>{_text(note)}</li>" for note in comparison.notes)
    return f'<div class="cards">{cards}</div>' + (f'<ul class="notes">{notes}</ul>' if notes else "")


def _groups_table(comparison: Comparison, groups: Sequence[GroupResult], chosen: Sequence[table.Column]) -> str:
    if not groups:
        return ""
    head = "".join(
        f'<th scope="col"{_side(column)} aria-sort="none"><button type="button">{_text(column.title or "group")}'
        "</button></th>"
        for column in chosen
    )
    rows = []
    for result in groups:
        cells = []
        for column in chosen:
            value = column.value(result)
            shown = "" if value is None else str(value)
            cell = _text(column.text(result))
            cells.append(f'<td{_side(column)} data-value="{_text(shown)}" title="{cell}">{cell}</td>')
        mark = ' class="baseline"' if result is comparison.baseline else ""
        rows.append(f"<tr{mark}>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table id="groups" class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _groups_hint(comparison: Comparison) -> str:
    base = comparison.baseline
    if base is None:
        return ""
    return (
        f"Mean ± sample standard deviation over seeds. Baseline: {base.name} ({base.label}). “Up” is what all "
        "clients sent in all rounds, “down” what was sent to them. A * marks the Pareto front: no other group is at "
        "least as good for at most as many bits up. Click a heading to sort."
    )


def _differences(comparison: Comparison, groups: Sequence[GroupResult]) -> str:
    base, metric = comparison.baseline, comparison.question.metric
    rows = [
        [
            f"{result.name} - {base.name}",
            result.label,
            text.difference(result.difference),
            verdict(result, base, metric),
        ]
        for result in groups
        if base is not None and result is not base
    ]
    if not rows:
        return ""
    hint = "Welch's t-interval over seeds, 95 % for each line by itself: of twenty lines, one may mislead by chance."
    return _table(["", "group", f"{metric}, 95 % interval", "what it is worth"], rows) + f"<p>{hint}</p>"


def _curves(comparison: Comparison, groups: Sequence[GroupResult]) -> str:
    axes: list[Against] = ["round", "bits"]
    if comparison.question.against not in axes:
        axes.append(comparison.question.against)
    charts = [curves_chart(comparison, groups, against) for against in axes]
    charts.append(front_chart(comparison, groups))
    drawn = [draw_svg(chart) for chart in charts if not chart.is_empty]
    return f'<div class="charts">{"".join(f"<figure>{svg}</figure>" for svg in drawn)}</div>' if drawn else ""


def _curves_hint(comparison: Comparison, groups: Sequence[GroupResult]) -> str:
    few = f" Drawn are the baseline and the best, {MOST_CURVES} in all." if len(groups) > MOST_CURVES else ""
    return f"Lines are means over seeds, bands and bars one sample standard deviation to each side.{few}"


def _config_differences(comparison: Comparison) -> str:
    configs = [result.group.config for result in comparison.groups]
    keys = differing_keys(configs)
    rows = [
        [key, *(shown_value(config[key]) if key in config else ABSENT for config in configs)] for key in sorted(keys)
    ]
    return _table(["key", *(result.name for result in comparison.groups)], rows)


def _not_counted(comparison: Comparison) -> str:
    metric = comparison.question.metric
    rows = []
    for run in comparison.not_counted:
        rounds = str(run.rows[-1]["round"]) if run.rows else "none"
        overrides = " ".join(run.record.overrides) if run.record else ""
        value = measure.final(run.rows, metric)
        rows.append([run.status, shown_folder(run), rounds, text.number(value), overrides, run.problem])
    return _table(["status", "run", "rounds", metric, "overrides", "why"], rows)


def _environment(comparison: Comparison) -> str:
    named = [(result.name, run) for result in comparison.groups for run in result.group.runs]
    named += [("", run) for run in comparison.not_counted]
    rows = [[name, *_of_run(run)] for name, run in named]
    head = ["", "run", "status", "seed", "rounds", "started", "host", "git", "versions", "command line"]
    return _table(head, rows)


def _of_run(run: Run) -> list[str]:
    rounds = str(run.rows[-1]["round"]) if run.rows else ""
    first = [shown_folder(run), run.status, "" if run.seed is None else str(run.seed), rounds]
    record = run.record
    if record is None:
        return [*first, "", "", "", "", ""]
    host = [str(record.host.get("hostname", ""))]
    if "cpus" in record.host:
        host.append(f"{record.host['cpus']} CPUs")
    memory = record.host.get("memory_bytes")
    if isinstance(memory, int) and 0 < memory < 2**60:
        host.append(f"{round(memory / 2**30)} GiB")
    host.append(str(record.host.get("platform", "")))
    git = ""
    if record.git:
        git = str(record.git.get("commit"))[:10] + (" and changes" if record.git.get("dirty") else "")
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items() if version)
    resumed = f" (resumed after round {', '.join(map(str, record.resumed))})" if record.resumed else ""
    return [*first, record.started + resumed, ", ".join(filter(None, host)), git, versions, " ".join(record.argv)]


def _samples(comparison: Comparison) -> str:
    runs = [(f"{result.name} ({result.label})", run) for result in comparison.groups for run in result.group.runs]
    runs += [(f"{run.status}, not counted", run) for run in comparison.not_counted]
    parts: list[str] = []
    for name, run in runs:
        samples = read_samples(RunDirectory(run.folder).run_log)
        if not samples:
            continue
        texts = "".join(
            f"<h4>after round {round}</h4><pre>{_lines(sample)}</pre>" for round, sample in _first_and_last(samples)
        )
        seed = f", seed {run.seed}" if run.seed is not None else ""
        summary = _text(f"{name}{seed}, {shown_folder(run)}")
        parts.append(f"<details{'' if parts else ' open'}><summary>{summary}</summary>{texts}</details>")
    return "".join(parts)


def _first_and_last(samples: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    return samples if len(samples) < 3 else [samples[0], samples[-1]]


def _section(title: str, content: str, hint: str = "") -> str:
    """A section, or nothing where it has no content."""
    if not content:
        return ""
    said = f"<p>{_text(hint)}</p>" if hint else ""
    return f"<section><h2>{_text(title)}</h2>{said}{content}</section>\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    titles = "".join(f'<th scope="col">{_text(title)}</th>' for title in head)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _side(column: table.Column) -> str:
    return ' class="number"' if column.is_number else ""


def _text(value: str) -> str:
    return escape(printable(value))


def _lines(sample: str) -> str:
    return "\n".join(map(_text, sample.split("\n")))
