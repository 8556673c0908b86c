"""The learning rate falls with the square root of the rounds: what the theory of stochastic gradient descent asks for.

Robbins and Monro 1951, https://doi.org/10.1214/aoms/1177729586; in rounds, as in Reddi et al. 2021, appendix,
https://arxiv.org/abs/2003.00295.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from fedcli.ranges import Range
from fedcli.schedules import schedules
from fedcli.schedules.base import ScheduleConfig


@schedules.register("inverse_sqrt")
@dataclass(frozen=True)
class InverseSqrt(ScheduleConfig):
    """`1 / sqrt(1 + done / scale)`.

    Attributes:
        scale: Rounds until the rate has fallen to 1 / sqrt(2).
    """

    name: str = "inverse_sqrt"
    scale: Annotated[float, Range(1e-9, 1e9)] = 1.0

    def after_warmup(self, done: int, rounds: int) -> float:
        """See the class."""
        return 1 / math.sqrt(1 + done / self.scale)
