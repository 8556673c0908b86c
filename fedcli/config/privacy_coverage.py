"""Whether a run has an epsilon: what the accountant covers, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedcli.errors import ConfigError
from fedcli.keys.sampling import FIXED

if TYPE_CHECKING:
    from fedcli.config.schema import TrainConfig


def not_covered(config: TrainConfig) -> str | None:
    """Says why no epsilon can be stated for a run whose aggregator adds noise; None where one can be."""
    aggregator, algorithm = config.aggregator, config.algorithm
    if config.sampling.is_simulated:
        return "sampling.* decides who reports by more than chance: by speed, by a deadline, in numbers that vary"
    if not algorithm.sends_only_updates:
        return f"clients of algorithm={algorithm.name} send more than the update, without noise"
    if config.distributor.trains_sub_models:
        return f"distributor={config.distributor.name} aggregates updates of sub-models"
    if not getattr(aggregator, "noise_multiplier", 1.0):
        return "aggregator.noise_multiplier=0 adds no noise"
    if aggregator.clients_add_noise:
        if config.sampling.scheme != FIXED:
            return (
                f"with sampling.scheme={config.sampling.scheme} the number of clients varies, "
                "and with it the noise that they add"
            )
        expected = getattr(aggregator, "clients_per_round", config.clients_per_round)
        if expected != config.clients_per_round:
            return f"{config.clients_per_round} clients add noise that is meant for {expected}"
    return None


def check_privacy(config: TrainConfig) -> None:
    """Refuses a limit on an epsilon that cannot be stated.

    Raises:
        ConfigError: Keys do not fit each other.
    """
    if config.privacy.max_epsilon is None:
        return
    name = config.aggregator.name
    if not config.aggregator.adds_noise:
        raise ConfigError(
            f"privacy.max_epsilon={config.privacy.max_epsilon:g}: aggregator={name} adds no noise: there is no epsilon",
            "choose aggregator=dp or aggregator=ddp, or leave privacy.max_epsilon out",
        )
    if reason := not_covered(config):
        raise ConfigError(
            f"privacy.max_epsilon={config.privacy.max_epsilon:g}: no epsilon can be stated: {reason}",
            "change that, or leave privacy.max_epsilon out",
        )
