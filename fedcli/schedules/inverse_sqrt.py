"""The learning rate falls with the square root of the rounds: what the theory of stochastic gradient descent asks for.

Robbins and Monro 1951, https://doi.org/10.1214/aoms/1177729586; in rounds, as in Reddi et al. 2021, appendix,
https://arxiv.org/abs/2003.00295.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

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
    scale: float = 1.0

    def problems(self) -> Iterator[tuple[str, str]]:
        """The scale is positive; see the base class."""
        yield from super().problems()
        if not 0 < self.scale < math.inf:
            yield "scale", "must be a positive number of rounds"

    def after_warmup(self, done: int, rounds: int) -> float:
        """See the class."""
        return 1 / math.sqrt(1 + done / self.scale)
