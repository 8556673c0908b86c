"""Clients that differ in how much they have, not in what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedcli.partitions import partitions
from fedcli.partitions.base import Concentration, Pool, Synthetic


@partitions.register("quantity")
@dataclass(frozen=True)
class Quantity(Synthetic):
    """Shuffles all examples and deals shares of them drawn from a Dirichlet distribution, at least one a client.

    The quantity skew of Li et al. 2022, "Federated Learning on Non-IID Data Silos: An Experimental Study",
    https://arxiv.org/abs/2102.02079, section 4.3: q ~ Dir(alpha, ..., alpha) over the clients, of whom the j-th gets
    a share q_j of the examples.

    Attributes:
        alpha: Concentration: small for a few clients that have nearly everything, large for equal shares.
    """

    name: str = "quantity"
    alpha: Concentration = 0.5

    def deal(self, pool: Pool) -> list[NDArray[np.int64]]:
        """Deals shares of a random order; see the base class."""
        shares = pool.rng.dirichlet(np.full(self.num_clients, self.alpha))
        # One example is everybody's; the edges between shares of the others are rounded, not the shares, so that
        # the shares add up.
        edges = np.rint(np.cumsum(shares) * (pool.size - self.num_clients)).astype(np.int64)
        edges = edges[:-1] + np.arange(1, self.num_clients)
        return np.split(pool.rng.permutation(pool.size), edges)
