"""The learning rate falls along half a cosine.

Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", https://arxiv.org/abs/1608.03983,
without restarts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedcli.ranges import Count, Fraction
from fedcli.schedules import schedules
from fedcli.schedules.base import ScheduleConfig


@schedules.register("cosine")
@dataclass(frozen=True)
class Cosine(ScheduleConfig):
    """From 1 down to `last`, which it has from `rounds` rounds (after the warm-up) on.

    Attributes:
        last: Share of the learning rate at the end.
        rounds: Length of the fall; None for the run's rounds. A run that may be resumed with more rounds than before
            needs a number here: else the rounds that it has done were those of another schedule.
    """

    name: str = "cosine"
    last: Fraction = 0.0
    rounds: Count | None = None

    def after_warmup(self, done: int, rounds: int) -> float:
        """See the class."""
        length = max(1, rounds if self.rounds is None else self.rounds)
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * min(1.0, done / length))) / 2
