"""The median of each number of the updates.

Yin et al. 2018, "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
https://arxiv.org/abs/1803.01498, definition 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.aggregators import aggregators
from fedcli.aggregators.collecting import CollectingAggregator

if TYPE_CHECKING:
    from fedcli.aggregators.processes.collected import Rule


@aggregators.register("coordinate_median")
@dataclass(frozen=True)
class CoordinateMedian(CollectingAggregator):
    """Each client counts the same, as in the paper, whatever the algorithm's weights: a weight is a client's word."""

    name: str = "coordinate_median"

    def rule(self) -> Rule:
        """Makes the rule; see the base class."""
        from fedcli.aggregators.processes.rules import coordinate_median

        return coordinate_median
