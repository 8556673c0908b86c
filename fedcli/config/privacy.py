"""At which delta a run's epsilon is stated, and which epsilon it may not exceed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedcli.ranges import Range

#: Delta is one over the number of clients to this power: McMahan et al. 2018, https://arxiv.org/abs/1710.06963.
_POWER = 1.1


@dataclass(frozen=True)
class PrivacyConfig:
    """How the privacy is accounted for that an aggregator gives; see `fedcli.privacy.accountant`.

    Attributes:
        delta: The delta at which epsilon is stated; None for 1 / clients^1.1.
        max_epsilon: The run ends before the round that would exceed it; None for no limit.
    """

    delta: Annotated[float, Range(1e-30, 0.999999)] | None = None
    max_epsilon: Annotated[float, Range(1e-9, 1e9)] | None = None

    def delta_of(self, population: int) -> float:
        """Returns the delta at which epsilon is stated for so many clients."""
        return float(population) ** -_POWER if self.delta is None else self.delta
