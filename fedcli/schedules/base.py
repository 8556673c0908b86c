"""What a learning-rate schedule is to the rest of fedcli."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from fedcli.ranges import CountOrZero
from fedcli.registry import Component


@dataclass(frozen=True)
class ScheduleConfig(Component, ABC):
    """From a round to the share of the optimizer's learning rate that it is trained with.

    A function of the round alone, so that a resumed run goes on as it would have; all steps of a round have one rate.

    Attributes:
        warmup_rounds: Rounds in which the rate grows in equal steps to its full size, which the next one has.
    """

    warmup_rounds: CountOrZero = 0

    def factor(self, round: int, rounds: int) -> float:
        """Returns what the learning rate is multiplied by.

        Args:
            round: The round, from 1.
            rounds: How many the run has.
        """
        if round <= self.warmup_rounds:
            return round / (self.warmup_rounds + 1)
        return self.after_warmup(round - self.warmup_rounds - 1, rounds - self.warmup_rounds)

    @abstractmethod
    def after_warmup(self, done: int, rounds: int) -> float:
        """Returns the factor once the rate has its full size.

        Args:
            done: Rounds that were trained at the schedule's own rates, from 0.
            rounds: How many there are of them in the run.
        """
