"""The learning rate decays exponentially, in steps or smoothly.

Reddi et al. 2021, "Adaptive Federated Optimization", https://arxiv.org/abs/2003.00295, appendix: the client's rate
falls to a tenth every 500 rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fedcli.schedules import schedules
from fedcli.schedules.base import ScheduleConfig


@schedules.register("exponential")
@dataclass(frozen=True)
class Exponential(ScheduleConfig):
    """`rate` to the power of the rounds done divided by `every`.

    Attributes:
        rate: What the learning rate is multiplied by.
        every: After how many rounds.
        staircase: Whether all at once after so many rounds (true), or a little each round (false).
    """

    name: str = "exponential"
    rate: float = 0.1
    every: int = 500
    staircase: bool = True

    def problems(self) -> Iterator[tuple[str, str]]:
        """It decays; see the base class."""
        yield from super().problems()
        if not 0 < self.rate <= 1:
            yield "rate", "must be more than 0, at most 1"
        if self.every < 1:
            yield "every", "must be at least 1"

    def after_warmup(self, done: int, rounds: int) -> float:
        """See the class."""
        return self.rate ** (done // self.every if self.staircase else done / self.every)
