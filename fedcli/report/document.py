"""The comparison as a JSON document."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedcli.report import measure
from fedcli.report.comparison import verdict
from fedcli.report.load import Run
from fedcli.report.results import Comparison, GroupResult


def document(comparison: Comparison, groups: Sequence[GroupResult]) -> dict[str, Any]:
    """Returns what `--json` prints: bits and seconds in full, None for what is absent or not finite.

    Args:
        comparison: The answer.
        groups: Its groups, as sorted and cut by the user.
    """
    question = comparison.question
    return {
        "metric": question.metric,
        "target": None if question.target is None else dataclasses.asdict(question.target),
        "baseline": comparison.baseline and comparison.baseline.name,
        "differing_keys": comparison.keys,
        "groups": [_group(result, comparison) for result in groups],
        "not_counted": [_run(run, comparison) | {"problem": run.problem} for run in comparison.not_counted],
        "passed_over": comparison.foreign,
        "notes": comparison.notes,
    }


def _group(result: GroupResult, comparison: Comparison) -> dict[str, Any]:
    base, metric = comparison.baseline, comparison.question.metric
    config = result.group.config
    numbers = {
        "rounds": {"min": result.rounds[0], "max": result.rounds[1]},
        "final": {name: dataclasses.asdict(summary) for name, summary in result.final.items()},
        "best": {metric: dataclasses.asdict(result.best[metric])},
        "aggregated_bits": result.aggregated_bits.mean,
        "broadcasted_bits": result.broadcasted_bits.mean,
        "aggregated_ratio": result.aggregated_ratio,
        "broadcasted_ratio": result.broadcasted_ratio,
        "seconds": result.seconds.mean,
        "target": result.arrivals and dataclasses.asdict(result.arrivals),
        "difference": result.difference and dataclasses.asdict(result.difference),
    }
    return {
        "name": result.name,
        "label": result.label,
        "differs": {key: _plain(config[key]) for key in comparison.keys if key in config},
        "seeds": result.group.seeds,
        **_finite(numbers),
        "verdict": verdict(result, base, metric) if base is not None and result is not base else None,
        "pareto_front": result.on_front,
        "runs": [_run(run, comparison) for run in result.group.runs],
    }


def _run(run: Run, comparison: Comparison) -> dict[str, Any]:
    metric = comparison.question.metric
    return {
        "folder": str(run.folder),
        "id": run.record and run.record.id,
        "status": run.status,
        "seed": run.seed,
        "privacy": run.record and run.record.privacy,
        "rounds": run.rows[-1]["round"] if run.rows else None,
        **_finite({"final": measure.final(run.rows, metric), "best": measure.best(run.rows, metric)}),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """A config value as JSON has it: dates and numbers that are not finite become text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
