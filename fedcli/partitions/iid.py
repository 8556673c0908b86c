"""Clients that differ by chance only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedcli.partitions import partitions
from fedcli.partitions.base import Pool, Synthetic


@partitions.register("iid")
@dataclass(frozen=True)
class IID(Synthetic):
    """Shuffles all examples and deals each client as many as the others, to within one.

    The IID partition of McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3.
    """

    name: str = "iid"

    def deal(self, pool: Pool) -> list[NDArray[np.int64]]:
        """Deals a random order; see the base class."""
        return np.array_split(pool.rng.permutation(pool.size), self.num_clients)
