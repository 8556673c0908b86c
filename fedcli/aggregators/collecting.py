"""What the aggregators have in common for which the server must have each client's update by itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators.base import AggregatorConfig
from fedcli.columns import Columns, Direction

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.aggregators.processes.collected import Rule


@dataclass(frozen=True)
class CollectingAggregator(AggregatorConfig):
    """A robust rule over all updates of a round, which the server keeps until the round ends.

    So a round's memory grows with its clients: by the size of the model for each, 6.7 MB for the CNN, and several times
    that while the rule is computed. Updates are sent whole, as for the mean. `aggregator/left_out` counts those that
    the server leaves aside, since an attack has made them not finite. Clients that do not report are not among them.
    """

    columns: ClassVar[Columns] = {"left_out": Direction.MINIMIZE}

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds the factory; see the base class and `collected`."""
        from fedcli.aggregators.processes.collected import collected

        return collected(self.rule(), weighted=weighted)

    @abstractmethod
    def rule(self) -> Rule:
        """Makes the rule."""
