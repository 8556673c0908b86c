"""Clients that have examples of a few labels only: the pathological non-IID partition of the FedAvg paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedcli.partitions import partitions
from fedcli.partitions.base import Pool, Synthetic
from fedcli.ranges import Count


@partitions.register("shards")
@dataclass(frozen=True)
class Shards(Synthetic):
    """Sorts the examples by label, cuts them into shards of equal size and deals each client so many shards.

    McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3: 200 shards of 300 digits, 100 clients with two
    shards each. Within a label the order is random, so that a shard says nothing of the client it came from. Sizes
    of shards differ by at most one example. A shard that lies across the border of two labels has both;
    one that is longer than a label has more.

    Attributes:
        shards_per_client: Shards that a client gets.
    """

    by_label: ClassVar[bool] = True

    name: str = "shards"
    shards_per_client: Count = 2

    def least_examples(self) -> int:
        """Returns how many examples are needed: one a shard."""
        return self.num_clients * self.shards_per_client

    def deal(self, pool: Pool) -> list[NDArray[np.int64]]:
        """Deals shards in a random order; see the base class."""
        shuffled = pool.rng.permutation(pool.size)
        by_label = shuffled[np.argsort(pool.labels[shuffled], kind="stable")]
        shards = np.array_split(by_label, self.num_clients * self.shards_per_client)
        order = pool.rng.permutation(len(shards)).reshape(self.num_clients, self.shards_per_client)
        return [np.concatenate([shards[shard] for shard in row]) for row in order]
