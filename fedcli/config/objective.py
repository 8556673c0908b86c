"""The metric that a search optimizes: the config's `objective`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fedcli.columns import CLIENTS, COMMON, PERSONAL, RUN
from fedcli.errors import ConfigError
from fedcli.suggest import did_you_mean

#: What result.json tells beside the final metrics.
_TOTALS = ("broadcasted_bits", "aggregated_bits", "seconds")
#: Columns that result.json does not sum up.
_NOT_SUMMED_UP = ("round", "broadcasted_bits_round", "aggregated_bits_round", "simulated_seconds_round")
#: Measurements of components begin so; which there are is known when the round is compiled.
_OF_COMPONENTS = ("aggregator/", "distributor/", "finalizer/", "client_work/", "clients/")


def check_objective(name: str, measured: Iterable[str] | None = None) -> None:
    """Refuses an objective that is no metric.

    Args:
        name: The objective.
        measured: What the run's components measure; None before that is known.

    Raises:
        ConfigError: There is no such metric.
    """
    columns = RUN if measured is None else [*COMMON, *measured]
    known = [column for column in columns if column not in _NOT_SUMMED_UP]
    if name in known or (measured is None and name.startswith(_OF_COMPONENTS)):
        return
    # The dozens of percentiles over clients would hide the others.
    shown = [column for column in known if column not in (*CLIENTS, *PERSONAL)]
    raise ConfigError(f"objective={name}: no such metric", did_you_mean(name, shown, "metrics"))


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
