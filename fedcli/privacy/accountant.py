"""Computes epsilon by Google's dp-accounting, from what a round releases and how its clients are sampled.

The unit of privacy is the client, with all of its examples. Which data sets count as neighbours depends on the
sampling, since each has its analysis:

- A fixed number of clients, sampled uniformly and without replacement in each round, independently of the others: a
  neighbour has one client replaced by another. Then the sum of clipped updates changes by up to twice the clipping
  norm, so the noise counts half. Rényi differential privacy of the sampled mechanism: Wang, Balle and Kasiviswanathan
  2019, "Subsampled Rényi Differential Privacy and Analytical Moments Accountant", https://arxiv.org/abs/1808.00087,
  theorem 27 for Gaussian noise and theorem 9 for any other.
- Each client by itself with a probability (Poisson sampling): a neighbour has one client more or less, and the sum
  changes by up to the clipping norm. Mironov, Talwar and Zhang 2019, "Rényi Differential Privacy of the Sampled
  Gaussian Mechanism", https://arxiv.org/abs/1908.10530.

Rounds compose by adding, also with those of the training that a fine-tuning goes on from; from there to epsilon:
Canonne, Kamath and Steinke 2020, https://arxiv.org/abs/2004.00010, proposition 12.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedcli.keys.sampling import FIXED
from fedcli.privacy.mechanism import GaussianSum, Mechanism, SkellamSum
from fedcli.privacy.release import Release


class Relation(StrEnum):
    """Which data sets are neighbours."""

    REPLACE_ONE = "replace-one"
    ADD_OR_REMOVE_ONE = "add-or-remove-one"


@dataclass(frozen=True)
class Accountant:
    """Knows the epsilon after any number of rounds, which are all alike.

    A run that begins with a model that was trained on the same clients has spent what that training spent.

    Attributes:
        mechanism: What a round releases.
        scheme: How its clients are sampled: see `SamplingConfig.scheme`.
        population: All clients.
        clients_per_round: How many a round samples, on average.
        delta: The delta that epsilon is stated at.
        before: What the training of the first model released of the same clients; its relation is the same.
    """

    mechanism: Mechanism
    scheme: str
    population: int
    clients_per_round: int
    delta: float
    before: tuple[Release, ...] = ()

    @property
    def relation(self) -> Relation:
        """Which data sets are neighbours."""
        return relation_of(self.scheme)

    def releases(self, rounds: int) -> tuple[Release, ...]:
        """Returns all that is released of the clients after so many rounds."""
        own = Release(self.mechanism, self.scheme, self.population, self.clients_per_round, rounds)
        return (*self.before, own)

    def epsilon(self, rounds: int) -> float:
        """Returns epsilon after so many rounds; infinite where there is no bound."""
        from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

        released = [release for release in self.releases(rounds) if release.rounds]
        if not released:
            return 0.0
        orders, divergences = _composed(released)
        return float(compute_epsilon(orders, divergences, self.delta)[0])

    def rounds_within(self, max_epsilon: float, most: int) -> int:
        """Returns how many rounds, at most so many, keep epsilon at or below a bound."""
        enough, too_many = 0, most + 1
        while too_many - enough > 1:
            middle = (enough + too_many) // 2
            if self.epsilon(middle) <= max_epsilon:
                enough = middle
            else:
                too_many = middle
        return enough


def relation_of(scheme: str) -> Relation:
    """Returns which data sets are neighbours for a sampling scheme."""
    return Relation.REPLACE_ONE if scheme == FIXED else Relation.ADD_OR_REMOVE_ONE


def _composed(releases: Sequence[Release]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the Rényi orders that all mechanisms have, and the divergence of all releases together for each."""
    spent = []
    for release in releases:
        orders, divergences = _divergences(
            release.mechanism, release.scheme, release.population, release.clients_per_round
        )
        spent.append((np.asarray(orders, np.float64), release.rounds * divergences))
    common = functools.reduce(np.intersect1d, [orders for orders, _ in spent])
    return common, np.sum([divergences[np.isin(orders, common)] for orders, divergences in spent], axis=0)


@lru_cache  # it takes half a second, and jobs of a sweep differ mostly in something else
def _divergences(
    mechanism: Mechanism, scheme: str, population: int, clients: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(all="ignore"):  # large divergences of little noise overflow to infinity, which is right
        if isinstance(mechanism, GaussianSum):
            orders, divergences = _gaussian(mechanism, scheme, population, clients)
        else:
            orders, divergences = _skellam(mechanism, scheme, population, clients)
    return orders, np.where(np.isnan(divergences), math.inf, divergences)


def _gaussian(
    mechanism: GaussianSum, scheme: str, population: int, clients: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import dp_accounting

    neighbours = dp_accounting.NeighboringRelation
    event: dp_accounting.DpEvent
    if scheme == FIXED:
        relation = neighbours.REPLACE_ONE
        event = dp_accounting.SampledWithoutReplacementDpEvent(
            population, clients, dp_accounting.GaussianDpEvent(mechanism.noise_multiplier / 2)
        )
    else:
        relation = neighbours.ADD_OR_REMOVE_ONE
        event = dp_accounting.PoissonSampledDpEvent(
            clients / population, dp_accounting.GaussianDpEvent(mechanism.noise_multiplier)
        )
    accountant = dp_accounting.rdp.RdpAccountant(neighboring_relation=relation).compose(event)
    return accountant.orders, accountant.rdp


def _skellam(
    mechanism: SkellamSum, scheme: str, population: int, clients: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if scheme != FIXED:
        raise ValueError("the noise that clients add depends on how many there are")
    orders = np.array([*range(2, 65), 128, 256])
    # One client replaced by another: twice the largest norms.
    l1, l2 = 2 * mechanism.l1_sensitivity, 2 * mechanism.l2_sensitivity
    whole = skellam_divergences(np.arange(2, orders[-1] + 1), l1, l2, mechanism.variance)
    share = clients / population
    if share < 1:
        return orders.astype(float), np.array([sampled_divergence(order, whole, share) for order in orders])
    return orders.astype(float), whole[orders - 2]


def skellam_divergences(orders: NDArray[np.int64], l1: float, l2: float, variance: float) -> NDArray[np.float64]:
    """Bounds the Rényi divergence of the Skellam mechanism for vectors.

    Agarwal et al. 2021, https://arxiv.org/abs/2110.04995, section 3.

    Args:
        orders: Whole numbers above 1.
        l1: How far neighbours are apart at most, L1 norm.
        l2: Likewise, L2 norm.
        variance: Of the noise on each number.
    """
    beyond_gaussian = np.minimum(
        ((2 * orders - 1) * l2**2 + 6 * l1) / (4 * variance**2), np.full(orders.shape, 3 * l1 / (2 * variance))
    )
    return orders * l2**2 / (2 * variance) + beyond_gaussian


def sampled_divergence(order: int, whole: Sequence[float] | NDArray[np.float64], share: float) -> float:
    """Bounds the Rényi divergence of a mechanism on a sample without replacement.

    Wang, Balle and Kasiviswanathan 2019, https://arxiv.org/abs/1808.00087, theorem 9, for a mechanism whose divergence
    of infinite order is unbounded.

    Args:
        order: A whole number above 1.
        whole: The mechanism's divergences without sampling, of the orders 2, 3, ..., at least up to this one.
        share: Which part of all is sampled, below 1.
    """
    from scipy.special import gammaln, logsumexp

    j = np.arange(2, order + 1)
    divergences = np.asarray(whole, np.float64)[: order - 1]
    choices = gammaln(order + 1) - gammaln(j + 1) - gammaln(order - j + 1)
    terms = j * math.log(share) + choices + (j - 1) * divergences + math.log(2)
    # Order 2 has a second bound, which is smaller where the mechanism is very private.
    terms[0] = (
        2 * math.log(share) + choices[0] + min(math.log(4) + _log_expm1(divergences[0]), divergences[0] + math.log(2))
    )
    return float(logsumexp([0.0, *terms])) / (order - 1)


def _log_expm1(x: float) -> float:
    return float(x + math.log(-math.expm1(-x))) if x > 0 else -math.inf
