"""The columns of metrics.csv that fedcli itself writes, with the direction in which each improves.

`fedcli compare` praises, and a search optimizes, in this direction alone. A column without a direction can be compared,
but neither value is better. Components declare their own columns: `Component.columns`; `fedcli.directions` knows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Direction(StrEnum):
    """The direction in which a metric improves."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> int:
        """1 if larger values are better, -1 if smaller values are: `sign * value` is better where it is larger."""
        return 1 if self is Direction.MAXIMIZE else -1


#: Columns by name; None for a column whose values are neither better nor worse.
Columns = Mapping[str, Direction | None]

_MORE, _LESS = Direction.MAXIMIZE, Direction.MINIMIZE

#: Columns that every run has, in the order of metrics.csv.
COMMON: Columns = {
    "round": None,
    "train/loss": _LESS,
    "train/accuracy": _MORE,
    "train/examples": None,
    "eval/loss": _LESS,
    "eval/accuracy": _MORE,
    "broadcasted_bits": _LESS,
    "aggregated_bits": _LESS,
    "broadcasted_bits_round": _LESS,
    "aggregated_bits_round": _LESS,
    "seconds": _LESS,
}

#: Columns of runs on text: what a model would reach that guesses, and the model's accuracy on random characters.
TEXT: Columns = {"eval/guessing_accuracy": None, "eval/random_characters_accuracy": None}

#: Column of every run: selected clients that do not report, since they have no batch or their update is not finite.
LEFT_OUT: Columns = {"clients/left_out": _LESS}

#: Columns of runs that simulate which clients report, and when.
SIMULATED: Columns = {
    "simulated_seconds": _LESS,
    "simulated_seconds_round": _LESS,
    "clients/reported": _MORE,
    "clients/dropped": _LESS,
    "clients/cut": _LESS,
}

#: Columns of runs whose privacy is accounted for.
PRIVACY: Columns = {"epsilon": _LESS}

#: Columns of runs with attackers: how many of them reported.
ATTACK: Columns = {"attackers": None}

#: Columns of runs with a schedule.
LEARNING_RATES: Columns = {"client_learning_rate": None, "server_learning_rate": None}

#: Columns of the server's step: TFF counts the updates that were not finite, and leaves the model as it was.
FINALIZER: Columns = {"finalizer/update_non_finite": _LESS}

#: Percentiles over clients that are measured.
PERCENTILES = (10, 25, 50, 75, 90)


def _over_clients(name: str, direction: Direction) -> Columns:
    return {f"{name}_mean": direction, **{f"{name}_p{percentile}": direction for percentile in PERCENTILES}}


def _quality(name: str) -> Columns:
    return {
        **_over_clients(f"{name}/accuracy", _MORE),
        f"{name}/accuracy_std": _LESS,
        f"{name}/accuracy_min": _MORE,
        f"{name}/loss_mean": _LESS,
        f"{name}/loss_p90": _LESS,
    }


#: Columns of runs that evaluate the model for each client by itself.
CLIENTS: Columns = _quality("clients")

#: Columns of runs that evaluate each client's own model beside it.
PERSONAL: Columns = {
    **_quality("personal"),
    **_over_clients("personal/gain", _MORE),
    "personal/improved": _MORE,
    "personal/worsened": _LESS,
}

#: Columns of all runs and commands, without those of components.
RUN: Columns = {
    **COMMON,
    **TEXT,
    **LEFT_OUT,
    **SIMULATED,
    **PRIVACY,
    **ATTACK,
    **LEARNING_RATES,
    **FINALIZER,
    **CLIENTS,
    **PERSONAL,
}
