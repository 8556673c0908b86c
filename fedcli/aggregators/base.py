"""What an aggregator is to the rest of fedcli: how clients' updates become the server's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class AggregatorConfig(Component, ABC):
    """An aggregator and its keys."""

    def check_reports(self, reports: int) -> None:
        """Refuses rounds that it cannot aggregate.

        Args:
            reports: Clients that report in a round, where none is lost.

        Raises:
            ConfigError: They are too few.
        """

    @abstractmethod
    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory.

        Args:
            weighted: Whether the algorithm gives each client a weight.

        Returns:
            A `WeightedAggregationFactory` if `weighted`, else an `UnweightedAggregationFactory`.
        """
