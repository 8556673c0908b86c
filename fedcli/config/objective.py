"""The metric that a search optimises: the config's `objective`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fedcli.config.suggest import did_you_mean
from fedcli.errors import ConfigError

#: What result.json says of every run, or of every run on text.
_METRICS = (
    "train/loss",
    "train/accuracy",
    "train/examples",
    "eval/loss",
    "eval/accuracy",
    "eval/guessing_accuracy",
    "eval/random_characters_accuracy",
)
_TOTALS = ("broadcasted_bits", "aggregated_bits", "seconds")
#: What begins so is measured by a component, or simulated; which there are is known when the round is compiled.
_OF_COMPONENTS = ("aggregator/", "distributor/", "finalizer/", "client_work/", "clients/", "simulated_seconds")


def check_objective(name: str, measured: Iterable[str] | None = None) -> None:
    """Refuses an objective that is no metric.

    Args:
        name: The objective.
        measured: What the run's components measure; None before that is known.

    Raises:
        ConfigError: There is no such metric.
    """
    known = [*_METRICS, *_TOTALS, *(measured or ())]
    if name in known or (measured is None and name.startswith(_OF_COMPONENTS)):
        return
    raise ConfigError(f"objective={name}: no such metric", did_you_mean(name, known, "metrics"))


def objective_value(name: str, result: Mapping[str, Any]) -> float | None:
    """Returns a run's value of the objective.

    Args:
        name: The objective.
        result: What result.json says.

    Returns:
        None if the run has no such metric, or it is not a finite number.
    """
    value = result.get("final", {}).get(name)
    if value is None and name in _TOTALS:
        value = result.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
