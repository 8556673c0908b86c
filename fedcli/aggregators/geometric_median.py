"""The geometric median of the updates: RFA.

Pillutla et al. 2022, "Robust Aggregation for Federated Learning", https://arxiv.org/abs/1912.13445, algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.collecting import CollectingAggregator
from fedcli.ranges import Range

if TYPE_CHECKING:
    from fedcli.aggregators.processes.collected import Rule


@aggregators.register("geometric_median")
@dataclass(frozen=True)
class GeometricMedian(CollectingAggregator):
    """The point with the smallest sum of distances from the updates, each by the client's weight, as in the paper.

    The paper takes the means by secure sums, so that each costs a message of every client. Here the server has the
    updates and takes them alone: what a client sends is as for the mean. The defaults are those of the authors'
    implementation in TFF's research code.

    Attributes:
        iterations: Weighted means that are taken, the first by the clients' weights alone. More come closer.
        smoothing: Distances below this count as this (the paper's nu).
    """

    name: str = "geometric_median"
    iterations: Annotated[int, Range(1, 100)] = 5
    smoothing: Annotated[float, Range(1e-12, 1e6)] = 1e-6

    def rule(self) -> Rule:
        """Makes the rule; see the base class."""
        from fedcli.aggregators.processes.rules import geometric_median

        return geometric_median(self.iterations, self.smoothing)
