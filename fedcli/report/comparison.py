"""Compares groups of runs: the whole computation, from loaded runs to numbers that any form can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedcli.directions import direction
from fedcli.errors import UsageError
from fedcli.report import measure
from fedcli.report.group import Group, group_runs, separating_keys, short_key, shown_value, telling_keys
from fedcli.report.load import Loaded, Run
from fedcli.report.measure import Against, Target
from fedcli.report.pareto import pareto_front
from fedcli.report.privacy import privacy_notes
from fedcli.report.results import Arrivals, Comparison, GroupResult, Question
from fedcli.report.statistics import is_finite, summarize, welch
from fedcli.report.yaml_files import parse_value
from fedcli.shell import shell_word
from fedcli.suggest import did_you_mean

_BITS = ("broadcasted_bits", "aggregated_bits")


def compare(loaded: Loaded, question: Question) -> Comparison:
    """Compares runs.

    Raises:
        UsageError: No run has the metric, the target's metric has no direction, a run has nothing to draw it against,
            or the baseline fits none or several groups.
    """
    groups, repeats = group_runs(run for run in loaded.runs if run.status == "completed")
    repeated = {run.folder: run for run in repeats}
    not_counted = [
        repeated.get(run.folder, run) for run in loaded.runs if run.status != "completed" or run.folder in repeated
    ]
    metrics = _metrics(loaded.runs)
    if metrics:
        asked = [question.metric] + ([question.target.metric] if question.target else [])
        for metric in asked:
            if metric not in metrics:
                raise UsageError(f"{metric}: no run has this metric", _choices(metric, metrics))
    if question.target and direction(question.target.metric) is None:
        raise UsageError(
            f"--target {question.target.metric}: neither more nor less of it is known to be better, so when it is "
            "reached is not defined",
            "choose another metric, such as --target eval/accuracy=0.95",
        )
    _check_against(groups, question.against)
    configs = [group.config for group in groups]
    keys = telling_keys(configs)
    baseline = _find_baseline(configs, keys, question.baseline) if groups else 0
    front = _front(groups, question.metric)
    results = [
        _result(index, group, groups[baseline], label, question, metrics, is_on_front)
        for index, (group, label, is_on_front) in enumerate(zip(groups, _labels(configs, keys), front, strict=True))
    ]
    chosen = results[baseline] if results else None
    comparison = Comparison(
        question,
        results,
        chosen,
        keys,
        separating_keys(configs, keys),
        metrics,
        not_counted,
        [str(path) for path in loaded.foreign],
    )
    comparison.notes.extend(_notes(comparison))
    return comparison


def verdict(result: GroupResult, baseline: GroupResult, metric: str) -> str:
    """Says in words what a difference to the baseline is worth."""
    difference = result.difference
    if difference is None:
        return f"{metric} cannot be compared: {'the baseline' if not baseline.final[metric].n else 'it'} has no value"
    if difference.low is None:
        return "one seed proves nothing: run both with more, seed=1,2,3"
    if difference.degrees is None:
        return "no spread among the seeds, so no interval: do they differ at all?"
    if not difference.excludes_zero:
        return "not significant: the 95 % interval contains 0"
    better = direction(metric)
    if better is None:
        return "differs from the baseline: the 95 % interval does not contain 0"
    is_better = better.sign * difference.value > 0
    return f"{'better' if is_better else 'worse'} than the baseline: the 95 % interval does not contain 0"


def _result(
    index: int,
    group: Group,
    baseline: Group,
    label: str,
    question: Question,
    metrics: Sequence[str],
    on_front: bool | None,
) -> GroupResult:
    final = {metric: summarize(_finals(group, metric)) for metric in metrics}
    best = {
        metric: summarize(measure.best(run.rows, metric) for run in group.runs if direction(metric))
        for metric in metrics
    }
    down, up = (summarize(_finals(group, name)) for name in _BITS)
    base_down, base_up = (summarize(_finals(baseline, name)) for name in _BITS)
    rounds = [int(run.rows[-1]["round"] or 0) for run in group.runs]
    values = [value for value in _finals(group, question.metric) if is_finite(value)]
    base_values = [value for value in _finals(baseline, question.metric) if is_finite(value)]
    return GroupResult(
        name=letters(index),
        label=label,
        group=group,
        final=final,
        best=best,
        rounds=(min(rounds), max(rounds)),
        aggregated_bits=up,
        broadcasted_bits=down,
        seconds=summarize(measure.seconds(run.rows)[-1] for run in group.runs),
        aggregated_ratio=_ratio(base_up.mean, up.mean),
        broadcasted_ratio=_ratio(base_down.mean, down.mean),
        arrivals=None if question.target is None else _arrivals(group, question.target),
        difference=None if group is baseline else welch(values, base_values),
        on_front=on_front,
    )


def _arrivals(group: Group, target: Target) -> Arrivals:
    all_runs = [measure.arrival(run.rows, target) for run in group.runs]
    found = [arrival for arrival in all_runs if arrival is not None]
    return Arrivals(
        reached=len(found),
        of=len(all_runs),
        round=summarize(arrival.round for arrival in found),
        aggregated_bits=summarize(arrival.aggregated_bits for arrival in found),
        broadcasted_bits=summarize(arrival.broadcasted_bits for arrival in found),
        seconds=summarize(arrival.seconds for arrival in found),
        simulated_seconds=summarize(arrival.simulated_seconds for arrival in found),
    )


def _check_against(groups: Sequence[Group], against: Against) -> None:
    """Refuses to draw runs against a time that was not simulated: their curves would be missing without a word."""
    if against != "simulated_seconds":
        return
    runs = [run for group in groups for run in group.runs]
    without = [run for run in runs if "simulated_seconds" not in run.rows[0]]
    if without:
        raise UsageError(
            f"--against simulated_seconds: {len(without)} of {count(len(runs), 'run')} simulated no time, "
            f"such as {without[0].folder}",
            "train them with sampling.simulate=true, or leave them out",
        )


def _front(groups: Sequence[Group], metric: str) -> list[bool] | list[None]:
    better = direction(metric)
    if better is None:
        return [None] * len(groups)
    points = []
    for group in groups:
        up = summarize(_finals(group, "aggregated_bits")).mean
        value = summarize(_finals(group, metric)).mean
        points.append(None if up is None or value is None else (up, better.sign * value))
    marks = iter(pareto_front([point for point in points if point is not None]))
    return [point is not None and next(marks) for point in points]


def _find_baseline(configs: Sequence[Mapping[str, Any]], keys: Sequence[str], wanted: Sequence[tuple[str, str]]) -> int:
    """Returns the index of the one group that has all wanted values; the first without any wanted."""
    if not wanted:
        return 0
    known = list(dict.fromkeys(key for config in configs for key in config))
    fits = list(range(len(configs)))
    for key, value in wanted:
        full = full_key(key, known)
        if full is None:
            raise UsageError(f"--baseline {key}={value}: no run has the key {key}", _choices(key, known))
        left = [index for index in fits if full in configs[index] and _is_value(configs[index][full], value)]
        if not left:
            present = dict.fromkeys(shown_value(configs[index][full]) for index in fits if full in configs[index])
            raise UsageError(f"--baseline {key}={value}: no group has this value", _choices(value, present))
        fits = left
    if len(fits) > 1:
        named = " ".join(f"{key}={value}" for key, value in wanted)
        labels = _labels([configs[index] for index in fits], telling_keys([configs[index] for index in fits]))
        raise UsageError(
            f"--baseline {named}: {len(fits)} groups fit: {'; '.join(labels[:6])}",
            f"add another --baseline KEY=VALUE, such as --baseline {shell_word(labels[0].split(', ')[0])}",
        )
    return fits[0]


def full_key(key: str, known: Sequence[str]) -> str | None:
    """Finds a config key as users type it: `aggregator` is `aggregator.name`."""
    return next((name for name in (key, f"{key}.name") if name in known), None)


def _is_value(value: Any, text: str) -> bool:
    return shown_value(value) == text or bool(parse_value(text) == value)


def _labels(configs: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    """Names each group by what tells it apart, with `...` where it differs in more; a single one by its parts."""
    few = separating_keys(configs, keys)
    more = ["..."] if len(few) < len(keys) else []
    labels = []
    for config in configs:
        parts = [f"{short_key(key)}={shown_value(config[key])}" for key in few if key in config]
        if not keys:
            parts = [shown_value(value) for key, value in config.items() if key in _PARTS]
        labels.append(", ".join(parts + more) or "no other keys")
    return labels


_PARTS = ("dataset.name", "model.name", "algorithm.name", "aggregator.name")


def _notes(comparison: Comparison) -> list[str]:
    metric = comparison.question.metric
    notes = []
    if comparison.groups and direction(metric) is None:
        notes.append(f"neither more nor less {metric} is known to be better: no group is called better or the best")
    if not comparison.groups:
        notes.append("no completed run: there is nothing to average")
    for result in comparison.groups:
        if result.rounds[0] != result.rounds[1]:
            notes.append(
                f"{result.name} ({result.label}): its runs have different lengths, {result.rounds[0]} to "
                f"{result.rounds[1]} rounds; final values and totals are of different rounds"
            )
        final = result.final[metric]
        if final.missing:
            why = f"{final.diverged} of {result.seeds} runs ended with no finite number for {metric}"
            if not final.diverged:
                why = f"{final.missing} of {result.seeds} runs did not measure {metric}"
            rest = "; the mean is over the others, which flatters it" if final.n else ""
            notes.append(f"{result.name} ({result.label}): {why}{rest}")
    notes += privacy_notes(comparison.groups)
    notes += _inputs_notes(comparison.groups)
    if "dataset.name" in comparison.keys:
        notes.append("the groups have different data sets: their metrics do not measure the same")
    if any(result.seeds == 1 for result in comparison.groups):
        notes.append("one seed proves nothing: a group with one seed has no spread and no confidence interval")
    if comparison.not_counted:
        notes.append(f"{count(len(comparison.not_counted), 'run')} not counted in any mean")
    if comparison.foreign:
        notes.append(f"passed over, files of another program: {', '.join(comparison.foreign)}")
    return notes


_INPUTS = {
    "data": "their data are not the same",
    "pretrained_model": "they began with different pretrained models",
    "source": "the source of a third party's component is not the same",
}


def _inputs_notes(groups: Sequence[GroupResult]) -> list[str]:
    """Says which groups have one config, but were made from other inputs, or by other versions of fedcli."""
    notes = []
    for key, why in _INPUTS.items():
        apart = [result for result in groups if key in result.group.config]
        if apart:
            listed = ", ".join(f"{result.name} ({key}={result.group.config[key]})" for result in apart)
            notes.append(f"{listed}: one config, but {why}, so they are kept apart; `inputs` in run.json tells more")
    versions: dict[str, list[str]] = {}
    for result in groups:
        for version in dict.fromkeys(version for run in result.group.runs for version in _versions(run)):
            versions.setdefault(version, []).append(result.name)
    if len(versions) > 1:
        listed = "; ".join(f"{version}: {', '.join(names)}" for version, names in versions.items())
        notes.append(f"the runs were made by different versions of fedcli, whose numbers may differ: {listed}")
    return notes


def _versions(run: Run) -> list[str]:
    return [] if run.record is None else run.record.fedcli_versions()


def _finals(group: Group, metric: str) -> list[float | None]:
    return [measure.final(run.rows, metric) for run in group.runs]


def _metrics(runs: Sequence[Run]) -> list[str]:
    columns = dict.fromkeys(name for run in runs if run.rows for name in run.rows[0])
    return [name for name in columns if name not in ("round", "seconds", *_BITS)]


def _ratio(baseline: float | None, value: float | None) -> float | None:
    return baseline / value if baseline is not None and value else None


def letters(index: int) -> str:
    """Names groups A, B, ... Z, AA, AB, ..."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _choices(word: str, choices: Sequence[str] | Mapping[str, Any]) -> str:
    """Lists choices; of many, the closest."""
    if len(choices) <= 20:
        return did_you_mean(word, choices)
    import difflib

    close = difflib.get_close_matches(word, [*choices, *map(short_key, choices)], n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "config.yaml and metrics.csv of a run have the names"


def count(number: int, noun: str) -> str:
    """Writes `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
