"""The update, or several, that lies closest to its neighbours: Krum and Multi-Krum.

Blanchard et al. 2017, "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent",
https://papers.nips.cc/paper/6617-machine-learning-with-adversaries-byzantine-tolerant-gradient-descent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.aggregators import aggregators
from fedcli.aggregators.collecting import CollectingAggregator
from fedcli.errors import ConfigError
from fedcli.ranges import Count, CountOrZero

if TYPE_CHECKING:
    from fedcli.aggregators.processes.collected import Rule


@aggregators.register("krum")
@dataclass(frozen=True)
class Krum(CollectingAggregator):
    """Each client counts the same, as in the paper, whatever the algorithm's weights: a weight is a client's word.

    Of n clients f may be Byzantine, and n must be more than 2 f + 2. A round in which fewer report, where
    `sampling.dropout` and others lose some, assumes as many as its clients allow.

    Attributes:
        byzantine: f; None for the most that a round's clients allow.
        selected: How many updates are averaged: 1 is Krum, more is Multi-Krum, at most n - f.
    """

    name: str = "krum"
    byzantine: CountOrZero | None = None
    selected: Count = 1

    def check_reports(self, reports: int) -> None:
        """Refuses rounds whose clients are too few for f; see the base class."""
        byzantine = max((reports - 3) // 2, 0) if self.byzantine is None else self.byzantine
        if not 2 * byzantine + 2 < reports:
            raise ConfigError(
                f"aggregator=krum: {reports} clients report in a round; against {byzantine} Byzantine ones it needs "
                f"more than 2 x {byzantine} + 2",
                f"set clients_per_round to at least {2 * byzantine + 3}"
                + (", or lower aggregator.byzantine" if byzantine else ""),
            )
        if self.selected > reports - byzantine:
            raise ConfigError(
                f"aggregator.selected={self.selected}: {reports} clients report in a round, {byzantine} of whom may "
                "be Byzantine",
                f"set aggregator.selected to at most {reports - byzantine}",
            )

    def rule(self) -> Rule:
        """Makes the rule; see the base class."""
        from fedcli.aggregators.processes.rules import krum

        return krum(self.byzantine, self.selected)
