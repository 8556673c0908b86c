"""At which delta a run's epsilon is stated, and which epsilon it may not exceed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Delta is one over the number of clients to this power: McMahan et al. 2018, https://arxiv.org/abs/1710.06963.
_POWER = 1.1


@dataclass(frozen=True)
class PrivacyConfig:
    """How the privacy is accounted for that an aggregator gives; see `fedcli.privacy.accountant`.

    Attributes:
        delta: The delta at which epsilon is stated; None for 1 / clients^1.1.
        max_epsilon: The run ends before the round that would exceed it; None for no limit.
    """

    delta: float | None = None
    max_epsilon: float | None = None

    def delta_of(self, population: int) -> float:
        """Returns the delta at which epsilon is stated for so many clients."""
        return float(population) ** -_POWER if self.delta is None else self.delta

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields the keys whose values make no sense, each with what they must be."""
        if self.delta is not None and not 0 < self.delta < 1:
            yield "delta", "must be above 0 and below 1"
        if self.max_epsilon is not None and not 0 < self.max_epsilon < float("inf"):
            yield "max_epsilon", "must be a number above 0"
