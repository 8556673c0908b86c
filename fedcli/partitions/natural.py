"""The clients that a data set has by itself: writers, roles, the client column."""

from __future__ import annotations

from dataclasses import dataclass

from fedcli.datasets.base import FederatedDataset
from fedcli.partitions import partitions
from fedcli.partitions.base import PartitionConfig


@partitions.register("natural")
@dataclass(frozen=True)
class Natural(PartitionConfig):
    """Leaves every example to its client."""

    name: str = "natural"

    def count(self, natural: int) -> int:
        """As many as there are."""
        return natural

    def apply(self, dataset: FederatedDataset) -> FederatedDataset:
        """Returns the data set as it is."""
        return dataset
