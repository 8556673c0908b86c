"""What a partition is to the rest of fedcli: a way to deal the training examples of a data set to clients."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import DataSpec, Examples, FederatedDataset
from fedcli.errors import ConfigError
from fedcli.ranges import Count, Range, Seed
from fedcli.registry import Component

#: Concentrations of a Dirichlet distribution that can be drawn from: beyond, all is one label, or all is equal.
Concentration = Annotated[float, Range(1e-6, 1e6)]


@dataclass(frozen=True)
class PartitionConfig(Component, ABC):
    """A partition and its keys."""

    def check(self, spec: DataSpec) -> None:
        """Refuses a data set that cannot be dealt so.

        Raises:
            ConfigError: It has no labels to deal by.
        """

    @abstractmethod
    def count(self, natural: int) -> int:
        """Returns the number of training clients.

        Args:
            natural: How many the data set has by itself.
        """

    @abstractmethod
    def apply(self, dataset: FederatedDataset) -> FederatedDataset:
        """Deals a data set's training examples. The test split stays whole.

        Args:
            dataset: What was loaded. The result reads from it, and closes it.

        Raises:
            ConfigError: There are too few examples.
        """


class Pool:
    """The training examples of all clients of a data set, one client after the other.

    Args:
        dataset: The data set.
        rng: Where the partition's random choices come from.
    """

    def __init__(self, dataset: FederatedDataset, rng: np.random.Generator) -> None:
        self._dataset = dataset
        self.rng = rng
        self.size = sum(dataset.sizes().values())

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """Label of each example, [size]."""
        return self._dataset.labels()


@dataclass(frozen=True)
class Synthetic(PartitionConfig, ABC):
    """Forgets whose examples they were and deals them to clients that do not exist.

    Attributes:
        num_clients: How many clients.
        seed: Where the choices come from. Not the run's seed: runs that differ in theirs train the same clients.
    """

    #: Whether examples are dealt by their labels.
    by_label: ClassVar[bool] = False

    num_clients: Count = 100
    seed: Seed = 0

    def check(self, spec: DataSpec) -> None:
        """Refuses to deal text by label: it has a target at every character, no label; see the base class."""
        if self.by_label and spec.y_shape:
            raise ConfigError(
                f"partition={self.name} deals examples by their label, but those of a {spec.kind} data set have none",
                "choose partition=iid or partition=quantity",
            )

    def count(self, natural: int) -> int:
        """As many as asked for."""
        return self.num_clients

    def apply(self, dataset: FederatedDataset) -> FederatedDataset:
        """Deals the examples; see the base class."""
        self.check(dataset.spec)
        pool = Pool(dataset, np.random.default_rng(self.seed))
        if pool.size < self.least_examples():
            raise ConfigError(
                f"partition.num_clients={self.num_clients}: there are {pool.size:,} training examples to deal, "
                f"{self.least_examples():,} are needed",
                f"set partition.num_clients to at most {pool.size * self.num_clients // self.least_examples()}"
                if pool.size
                else "choose another data set, or other dataset.clients",
            )
        return PartitionedDataset(dataset, self.deal(pool))

    def least_examples(self) -> int:
        """Returns how many examples are needed: one a client."""
        return self.num_clients

    @abstractmethod
    def deal(self, pool: Pool) -> list[NDArray[np.int64]]:
        """Decides who gets which example.

        Returns:
            Positions in the pool, for each client; each position exactly once in all of them together.
        """

    def equal_sizes(self, total: int) -> NDArray[np.int64]:
        """Cuts a number of examples into one share a client, which differ by at most one."""
        share, rest = divmod(total, self.num_clients)
        return np.full(self.num_clients, share, np.int64) + (np.arange(self.num_clients) < rest)


class PartitionedDataset(FederatedDataset):
    """A data set whose training examples other clients have. The test split is that of the data set, whole.

    Args:
        dataset: The data set.
        dealt: Positions of the examples that each client has, among those of all clients of `dataset`, one client
            after the other.
    """

    def __init__(self, dataset: FederatedDataset, dealt: Sequence[NDArray[np.int64]]) -> None:
        self.spec = dataclasses.replace(dataset.spec, num_clients=len(dealt))
        self._dataset = dataset
        digits = len(str(max(len(dealt) - 1, 0)))
        # Sorted: in the order in which they are stored, which is the fastest to read.
        self._dealt = {f"client_{i:0{digits}d}": np.sort(positions) for i, positions in enumerate(dealt)}
        self.client_ids = list(self._dealt)

    def client(self, client_id: str) -> Examples:
        """Reads the examples that were dealt to a client; see the base class."""
        return self._dataset.pick(self._dealt[client_id])

    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the data set's own test split; see the base class."""
        return self._dataset.test(max_examples)

    def sizes(self) -> dict[str, int]:
        """Counts what was dealt; see the base class."""
        return {client: len(positions) for client, positions in self._dealt.items()}

    def size(self, client_id: str) -> int:
        """Counts what was dealt to a client; see the base class."""
        return len(self._dealt[client_id])

    def test_size(self) -> int:
        """Counts the data set's own test split; see the base class."""
        return self._dataset.test_size()

    def close(self) -> None:
        """Closes the data set."""
        self._dataset.close()
