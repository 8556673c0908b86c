import numpy as np
import pytest

from fedcli.compression.low_rank import LowRank
from fedcli.compression.sparse import Whole
from tests.compression.messages import INPUTS, assert_unbiased, estimates, relative_error, transmit


def test_sends_the_projection_and_the_seed():
    x = np.random.default_rng(0).normal(size=3 * 4 * 5 * 8)
    decoded, bits, _ = transmit(LowRank((3, 4, 5, 8), 6, False, Whole), x)
    assert bits == 64 + 6 * 8 * 32
    matrix = decoded.reshape(60, 8)
    assert np.linalg.matrix_rank(matrix, tol=1e-4) <= 6
    # A projection: what is left is orthogonal to it.
    np.testing.assert_allclose(decoded @ (x - decoded), 0, atol=1e-3)


def test_is_unbiased_with_the_variance_of_a_random_subspace():
    x = np.random.default_rng(1).normal(size=12 * 5)
    decoded = estimates(LowRank((12, 5), 3, True, Whole), x, 3000)
    assert_unbiased(decoded, x)
    assert relative_error(decoded, x) == pytest.approx(12 / 3 - 1, rel=0.1)


def test_unscaled_has_a_smaller_error():
    x = np.random.default_rng(1).normal(size=12 * 5)
    decoded = estimates(LowRank((12, 5), 3, False, Whole), x, 1000)
    assert relative_error(decoded, x) == pytest.approx(1 - 3 / 12, rel=0.1)


@pytest.mark.parametrize("rank", [12, 100])
def test_a_full_rank_loses_nothing(rank):
    x = np.random.default_rng(1).normal(size=12 * 5)
    decoded, bits, _ = transmit(LowRank((12, 5), rank, True, Whole), x)
    np.testing.assert_allclose(decoded, x, atol=1e-5)
    assert bits == 64 + 12 * 5 * 32


@pytest.mark.parametrize("name", INPUTS)
def test_any_vector_gives_a_finite_one(name):
    decoded, _, _ = transmit(LowRank((50, 20), 4, True, Whole), INPUTS[name])
    assert np.isfinite(decoded).all()
    assert np.abs(decoded).max() <= 50 / 4 * 50**0.5 * np.abs(INPUTS[name]).max()


def test_the_same_seed_gives_the_same_message():
    codec = LowRank((50, 20), 4, True, Whole)
    first, second, third = (transmit(codec, INPUTS["random"], seed)[0] for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)
