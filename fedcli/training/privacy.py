"""A run's epsilon, round by round, and where the run has to end for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from fedcli.columns import PRIVACY
from fedcli.config.privacy_coverage import not_covered
from fedcli.config.schema import FinetuneConfig, TrainConfig
from fedcli.errors import ConfigError
from fedcli.pretrained import PUBLISHED
from fedcli.privacy.accountant import Accountant, relation_of
from fedcli.privacy.first_model import FirstModel, first_model
from fedcli.runs.metrics import Row


def privacy_columns(config: TrainConfig) -> list[str]:
    """Names the columns of metrics.csv that a run has for its privacy."""
    return list(PRIVACY) if config.aggregator.adds_noise and not_covered(config) is None else []


@dataclass(frozen=True)
class Privacy:
    """What can be said of a run's privacy.

    Attributes:
        accountant: Knows epsilon; None where none can be stated.
        reason: Why none can be stated, where the aggregator adds noise all the same.
        max_epsilon: Where the run ends; None for no limit.
        first_model: What is known of the model that the run begins with.
        partition: The run's partition, which makes the clients that epsilon is of.
    """

    accountant: Accountant | None = None
    reason: str | None = None
    max_epsilon: float | None = None
    first_model: FirstModel = field(default_factory=FirstModel)
    partition: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        population: int,
        state: Mapping[str, float],
        inputs: Mapping[str, Any] | None = None,
    ) -> Privacy:
        """Makes the account of a run.

        Args:
            config: The run's config.
            population: Number of clients.
            state: The scalars of the aggregator's state.
            inputs: The run's data and pretrained model; see `fedcli.runs.inputs`.

        Raises:
            ConfigError: `privacy.max_epsilon` is given and no epsilon can be stated, or the pretrained model's training
                has spent more already.
        """
        if not config.aggregator.adds_noise:
            return cls()
        if reason := not_covered(config):
            return cls(reason=reason)
        mechanism = config.aggregator.mechanism(state)
        if mechanism is None:
            return cls(reason=f"aggregator={config.aggregator.name} does not tell what it releases")
        partition = dataclasses.asdict(config.partition)
        first = _first_model(config, partition, inputs or {})
        max_epsilon = config.privacy.max_epsilon
        if first.reason is not None:
            if max_epsilon is not None:
                raise ConfigError(
                    f"privacy.max_epsilon={max_epsilon:g}: no epsilon can be stated: {first.reason}",
                    "leave privacy.max_epsilon out, or set pretrained_is_public=true if the model is public",
                )
            return cls(reason=first.reason)
        accountant = Accountant(
            mechanism,
            config.sampling.scheme,
            population,
            config.clients_per_round,
            config.privacy.delta_of(population),
            first.releases,
        )
        if max_epsilon is not None and (spent := accountant.epsilon(0)) > max_epsilon:
            raise ConfigError(
                f"privacy.max_epsilon={max_epsilon:g}: training the pretrained model has spent {spent:.6g} already",
                "raise privacy.max_epsilon, or choose another pretrained model",
            )
        return cls(accountant, None, max_epsilon, first, partition)

    def row(self, round: int) -> Row:
        """Returns epsilon after a round, as metrics.csv has it."""
        return {} if self.accountant is None else {"epsilon": self.accountant.epsilon(round)}

    def last_round(self, rounds: int) -> int:
        """Returns the last of so many rounds that does not exceed the limit."""
        if self.accountant is None or self.max_epsilon is None:
            return rounds
        return self.accountant.rounds_within(self.max_epsilon, rounds)

    def statement(self, round: int, rounds: int) -> dict[str, Any] | None:
        """Says what a run's record says of its privacy after a round; None where there is nothing to say.

        Args:
            round: The round.
            rounds: How many were asked for.
        """
        if self.accountant is None:
            return None if self.reason is None else {"epsilon": None, "not_covered": self.reason, "ended": None}
        ended = None
        if round < rounds and round == self.last_round(rounds):
            ended = (
                f"after round {round} of {rounds}: the next would exceed privacy.max_epsilon={self.max_epsilon:g} "
                f"(epsilon {self.accountant.epsilon(round + 1):.4g})"
            )
        return {
            "epsilon": self.accountant.epsilon(round),
            "delta": self.accountant.delta,
            "neighbours": str(self.accountant.relation),
            "clients": self.accountant.population,
            "clients_per_round": self.accountant.clients_per_round,
            "sampling": self.accountant.scheme,
            "accountant": f"dp-accounting {version('dp-accounting')}, Rényi",
            "first_model": self.first_model.description,
            "partition": dict(self.partition),
            "releases": [release.to_json() for release in self.accountant.releases(round)],
            "ended": ended,
        }


def _first_model(config: TrainConfig, partition: Mapping[str, Any], inputs: Mapping[str, Any]) -> FirstModel:
    if not isinstance(config, FinetuneConfig):
        return FirstModel()
    data = inputs.get("data") or {}
    return first_model(
        inputs.get("pretrained") or {"name": config.pretrained},
        data=data.get("sha256"),
        partition=partition,
        relation=relation_of(config.sampling.scheme),
        is_published=config.pretrained in PUBLISHED,
        is_vouched_for=config.pretrained_is_public,
    )
