"""The learning rate decays exponentially, in steps or smoothly.

Reddi et al. 2021, "Adaptive Federated Optimization", https://arxiv.org/abs/2003.00295, appendix: the client's rate
falls to a tenth every 500 rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedcli.ranges import Count, Range
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
    rate: Annotated[float, Range(1e-12, 1.0)] = 0.1
    every: Count = 500
    staircase: bool = True

    def after_warmup(self, done: int, rounds: int) -> float:
        """See the class."""
        return self.rate ** (done // self.every if self.staircase else done / self.every)
