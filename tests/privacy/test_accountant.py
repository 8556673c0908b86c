"""Epsilon against dp-accounting called by hand, published numbers, and formulas written out."""

import functools
import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant

from fedcli.privacy.accountant import Accountant, Relation, _composed, sampled_divergence, skellam_divergences
from fedcli.privacy.mechanism import GaussianSum, SkellamSum


@functools.cache
def fixed(mechanism, population=1000, clients=20, delta=1e-5):
    return Accountant(mechanism, "fixed", population, clients, delta)


def poisson(noise_multiplier, population, clients, delta):
    return Accountant(GaussianSum(noise_multiplier), "poisson", population, clients, delta)


@pytest.mark.parametrize(("noise", "rounds"), [(0.7, 1), (1.0, 40), (2.5, 300)])
def test_poisson_sampling_is_dp_accounting_by_hand(noise, rounds):
    by_hand = RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    by_hand.compose(dp_accounting.PoissonSampledDpEvent(0.02, dp_accounting.GaussianDpEvent(noise)), rounds)
    accountant = poisson(noise, 1000, 20, 1e-5)
    assert accountant.epsilon(rounds) == pytest.approx(by_hand.get_epsilon(1e-5), rel=1e-12)
    assert accountant.relation is Relation.ADD_OR_REMOVE_ONE


@pytest.mark.parametrize(("noise", "rounds"), [(2.0, 1), (4.0, 300)])
def test_a_fixed_number_is_dp_accounting_by_hand_with_half_the_noise(noise, rounds):
    """A client replaced by another changes a sum of clipped updates by twice the clipping norm."""
    by_hand = RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE)
    event = dp_accounting.SampledWithoutReplacementDpEvent(1000, 20, dp_accounting.GaussianDpEvent(noise / 2))
    by_hand.compose(event, rounds)
    accountant = fixed(GaussianSum(noise))
    assert accountant.epsilon(rounds) == pytest.approx(by_hand.get_epsilon(1e-5), rel=1e-12)
    assert accountant.relation is Relation.REPLACE_ONE


@pytest.mark.parametrize(
    ("examples", "batch", "noise", "epochs", "delta", "published"),
    [(60_000, 150, 1.3, 15, 1e-5, 0.7242234026109595), (100_000, 100, 1.0, 30, 1e-7, 1.4154988495444845)],
)
def test_agrees_with_tensorflow_privacys_published_examples(examples, batch, noise, epochs, delta, published):
    """The values that TensorFlow Privacy 0.9.0 promises: privacy/analysis/compute_dp_sgd_privacy_test.py."""
    steps = epochs * examples // batch
    assert poisson(noise, examples, batch, delta).epsilon(steps) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(("devices", "published"), [(2e6, 9.86), (4e6, 5.36), (10e6, 3.27)])
def test_agrees_with_the_published_bounds_of_a_fixed_number_of_clients(devices, published):
    """Ramaswamy et al. 2020, https://arxiv.org/abs/2009.10031: hypothetical bounds for a production keyboard model.

    20,000 devices a round, 2,000 rounds, a noise multiplier of 0.8, delta = devices^-1.1. There, the sum is taken to
    change by the clipping norm, by half of what it is here; and from Rényi to epsilon goes the older bound by Mironov
    2017, https://arxiv.org/abs/1702.07476, proposition 3.
    """
    delta = devices**-1.1
    accountant = fixed(GaussianSum(2 * 0.8), int(devices), 20_000, delta)
    orders, divergences = _composed(accountant.releases(1))
    epsilon = np.min(2000 * divergences - math.log(delta) / (orders - 1))
    assert epsilon == pytest.approx(published, rel=0.01)
    assert accountant.epsilon(2000) < epsilon  # the newer bound is tighter


def test_epsilon_grows_with_rounds_and_falls_with_noise():
    accountant = fixed(GaussianSum(2.0))
    epsilons = [accountant.epsilon(rounds) for rounds in range(30)]
    assert epsilons[0] == 0
    assert epsilons == sorted(epsilons)
    assert fixed(GaussianSum(4.0)).epsilon(29) < epsilons[-1] < fixed(GaussianSum(2.0), clients=200).epsilon(29)


def test_little_noise_gives_a_large_epsilon_or_none():
    for noise in (1e-4, 0.3):
        for accountant in (fixed(GaussianSum(noise)), poisson(noise, 1000, 20, 1e-5)):
            assert accountant.epsilon(10) > 20
    assert fixed(SkellamSum(0.0, 1.0, 1e-9)).epsilon(1) > 100


def test_rounds_within_a_budget():
    accountant = fixed(GaussianSum(2.0))
    for limit in (accountant.epsilon(7), accountant.epsilon(7) * 1.0001):
        assert accountant.rounds_within(limit, 50) == 7
    assert accountant.rounds_within(accountant.epsilon(7) * 0.9999, 50) == 6
    assert accountant.rounds_within(1e9, 50) == 50
    assert accountant.rounds_within(1e-9, 50) == 0


def test_with_all_clients_sampling_adds_nothing():
    accountant = fixed(GaussianSum(3.0), population=20)
    by_hand = RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE)
    by_hand.compose(dp_accounting.GaussianDpEvent(1.5), 5)
    assert accountant.epsilon(5) == pytest.approx(by_hand.get_epsilon(1e-5), rel=1e-9)


def test_skellam_noise_by_its_formula():
    """Agarwal et al. 2021, written out for one order."""
    (found,) = skellam_divergences(np.array([3]), 7.0, 2.0, 5.0)
    assert found == pytest.approx(3 * 4 / 10 + min((5 * 4 + 6 * 7) / (4 * 25), 3 * 7 / 10))


def skellam_pmf(shift, variance, reach):
    from scipy.special import ive

    return ive(np.abs(np.arange(-reach, reach + 1) - shift), variance)


@pytest.mark.parametrize(("distance", "variance", "order"), [(1, 4.0, 2), (2, 9.0, 5), (3, 30.0, 16)])
def test_the_bound_on_skellam_noise_holds_and_is_close(distance, variance, order):
    """Against the divergence summed up number by number."""
    from scipy.special import logsumexp

    p, q = (np.log(skellam_pmf(shift, variance, 60)) for shift in (distance, 0))
    exact = logsumexp(order * p + (1 - order) * q) / (order - 1)
    (bound,) = skellam_divergences(np.array([order]), distance, distance, variance)
    assert exact <= bound < 2 * exact


def test_fine_skellam_noise_costs_what_gaussian_noise_does():
    """With all clients in each round: scaled by s, the variance by s^2, and its excess over the Gaussian goes."""
    gaussian = fixed(GaussianSum(8.0), population=20).epsilon(10)
    coarse, fine = (fixed(SkellamSum(s * 50, s, (8 * s) ** 2), population=20).epsilon(10) for s in (10.0, 1e4))
    assert gaussian < coarse
    assert fine == pytest.approx(gaussian, rel=0.01)


def test_the_general_bound_on_sampling_is_above_the_gaussian_one():
    general, special = fixed(SkellamSum(1e6, 1e4, 16e8)), fixed(GaussianSum(4.0))
    assert special.epsilon(50) <= general.epsilon(50) < 1.5 * special.epsilon(50)


def test_a_sampled_divergence_by_its_formula():
    """Wang et al. 2019, theorem 9, term by term for the order 4."""
    share, whole = 0.1, [0.3, 0.5, 0.8]
    total = 1 + share**2 * 6 * min(4 * (math.exp(0.3) - 1), 2 * math.exp(0.3))
    total += share**3 * 4 * 2 * math.exp(2 * 0.5) + share**4 * 2 * math.exp(3 * 0.8)
    assert sampled_divergence(4, whole, share) == pytest.approx(math.log(total) / 3)


def test_noise_of_a_varying_number_of_clients_is_not_accounted_for():
    with pytest.raises(ValueError, match="how many"):
        Accountant(SkellamSum(1.0, 1.0, 1.0), "poisson", 100, 10, 1e-5).epsilon(1)
