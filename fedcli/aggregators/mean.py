"""The mean of the clients' updates, sent whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.aggregators import aggregators
from fedcli.aggregators.base import AggregatorConfig

if TYPE_CHECKING:
    import tensorflow_federated as tff


@aggregators.register("mean")
@dataclass(frozen=True)
class Mean(AggregatorConfig):
    """Weighted or plain mean, 32 bits a number."""

    name: str = "mean"

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        return tff.aggregators.MeanFactory() if weighted else tff.aggregators.UnweightedMeanFactory()
