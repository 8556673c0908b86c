"""Clients whose label shares are drawn from a Dirichlet distribution: from one label each to IID, by one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedcli.partitions import partitions
from fedcli.partitions.base import Concentration, Pool, Synthetic


@partitions.register("dirichlet")
@dataclass(frozen=True)
class Dirichlet(Synthetic):
    """Draws each client's label shares q ~ Dir(alpha p), p being the shares in the whole data set.

    Hsu et al. 2019, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification",
    https://arxiv.org/abs/1909.06335, section 3. Clients have the same number of examples, to within one, and each
    example goes to exactly one. They draw one after the other, in a random order: where a label has run out, a client
    draws from those of its labels that are left, and if none is, from all that is left. The clients that
    draw last have therefore what is left rather than what they wanted, as in the paper; in a random order, that are no
    particular ids.

    p sums to 1, as in the paper: other programs draw from Dir(alpha, ..., alpha), whose alpha is that of here divided
    by the number of labels, if all are equally frequent. The variance of a share is p (1 - p) / (alpha + 1).

    Attributes:
        alpha: Concentration: near 0 clients have one label each, at 100 nearly the shares of the data set.
    """

    by_label: ClassVar[bool] = True

    name: str = "dirichlet"
    alpha: Concentration = 1.0

    def deal(self, pool: Pool) -> list[NDArray[np.int64]]:
        """Lets clients draw example by example; see the base class."""
        # Labels that no example has are left out: a share of 0 has no Dirichlet distribution.
        labels, of_example = np.unique(pool.labels, return_inverse=True)
        left = np.bincount(of_example, minlength=len(labels))
        shares = pool.rng.dirichlet(self.alpha * left / pool.size, self.num_clients)
        order = pool.rng.permutation(self.num_clients)
        drawers = np.repeat(order, self.equal_sizes(pool.size)[order])
        drawn = _draw_labels(drawers, shares, left.copy(), pool.rng.random(pool.size))
        # The n-th draw of a label gets the n-th example of it, in a random order.
        shuffled = pool.rng.permutation(pool.size)
        by_label = shuffled[np.argsort(of_example[shuffled], kind="stable")]
        example = np.empty(pool.size, np.int64)
        example[np.argsort(drawn, kind="stable")] = by_label
        by_client = example[np.argsort(drawers, kind="stable")]
        return np.split(by_client, np.cumsum(self.equal_sizes(pool.size))[:-1])


def _draw_labels(
    drawers: NDArray[np.int64], shares: NDArray[np.float64], left: NDArray[np.int64], chances: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Draws a label for each turn, from the shares of whose turn it is, among the labels that are left.

    Args:
        drawers: Whose turn it is, [turns].
        shares: Label shares of each client, [clients, labels].
        left: How many examples of each label there are, [labels]; as many as turns. Counted down.
        chances: Numbers drawn uniformly from [0, 1), [turns].

    Returns:
        Positions of labels, [turns]; each as often as `left` said.
    """
    weights = shares.copy()
    sums = np.cumsum(weights, axis=1)
    drawn = np.empty(len(drawers), np.int64)
    for turn, (client, chance) in enumerate(zip(drawers, chances, strict=True)):
        # A client of whose labels none is left draws as if it had the shares of what is left.
        label = _position(sums[client] if sums[client, -1] > 0 else np.cumsum(left), chance)
        drawn[turn] = label
        left[label] -= 1
        if not left[label]:
            weights[:, label] = 0
            sums = np.cumsum(weights, axis=1)
    return drawn


def _position(sums: NDArray[np.float64] | NDArray[np.int64], chance: float) -> int:
    """Chooses a position with the weights that `sums` adds up; never one of weight 0."""
    total = float(sums[-1])
    # Rounding must not lead beyond the last.
    return int(np.searchsorted(sums, min(chance * total, np.nextafter(total, 0.0)), side="right"))
