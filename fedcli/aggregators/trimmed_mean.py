"""The mean of each number of the updates without its largest and smallest.

Yin et al. 2018, "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
https://arxiv.org/abs/1803.01498, definition 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.collecting import CollectingAggregator
from fedcli.ranges import Range

if TYPE_CHECKING:
    from fedcli.aggregators.processes.collected import Rule


@aggregators.register("trimmed_mean")
@dataclass(frozen=True)
class TrimmedMean(CollectingAggregator):
    """Each client counts the same, as in the paper, whatever the algorithm's weights: a weight is a client's word.

    Attributes:
        trim: Share of a round's clients left out at either end, the paper's beta: at least the share of attackers. What
            it makes of a round's clients is rounded down, so below one over their number it is the plain mean.
    """

    name: str = "trimmed_mean"
    trim: Annotated[float, Range(0.0, 0.499999)] = 0.1

    def rule(self) -> Rule:
        """Makes the rule; see the base class."""
        from fedcli.aggregators.processes.rules import trimmed_mean

        return trimmed_mean(self.trim)
