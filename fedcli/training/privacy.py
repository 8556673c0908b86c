"""A run's epsilon, round by round, and where the run has to end for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fedcli.columns import PRIVACY
from fedcli.config.schema import TrainConfig
from fedcli.privacy.accountant import Accountant
from fedcli.privacy.coverage import not_covered
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
    """

    accountant: Accountant | None = None
    reason: str | None = None
    max_epsilon: float | None = None

    @classmethod
    def of(cls, config: TrainConfig, population: int, state: Mapping[str, float]) -> Privacy:
        """Makes it of a config, the number of clients and the scalars of the aggregator's state."""
        if not config.aggregator.adds_noise:
            return cls()
        if reason := not_covered(config):
            return cls(reason=reason)
        mechanism = config.aggregator.mechanism(state)
        if mechanism is None:
            return cls(reason=f"aggregator={config.aggregator.name} does not tell what it releases")
        accountant = Accountant(
            mechanism,
            config.sampling.scheme,
            population,
            config.clients_per_round,
            config.privacy.delta_of(population),
        )
        return cls(accountant, max_epsilon=config.privacy.max_epsilon)

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
            "ended": ended,
        }
