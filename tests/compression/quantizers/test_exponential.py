import numpy as np
import pytest

from fedcli.compression.quantizers.exponential import Exponential
from fedcli.compression.quantizers.qsgd import Qsgd
from tests.compression.messages import (
    INPUTS,
    SIZE,
    assert_unbiased,
    estimates,
    quantized,
    relative_error,
    transmit,
)


def test_levels_are_powers_of_two_of_the_norm():
    x = np.array([3.0, -4.0] + [0.1] * 20)
    decoded = estimates(quantized(Exponential(22, 3, 22, "max")), x, 200)
    assert set(decoded[:, 0]) == {2.0, 4.0}
    assert set(decoded[:, 1]) == {-4.0}
    assert set(decoded[:, 2:].ravel()) == {0.0, 1.0}


@pytest.mark.parametrize("magnitudes", [1, 3, 7, 127])
@pytest.mark.parametrize("name", INPUTS)
def test_the_error_is_at_most_the_distance_of_two_levels(name, magnitudes):
    x = INPUTS[name].astype(np.float64)
    decoded, _, _ = transmit(quantized(Exponential(SIZE, magnitudes, SIZE, "l2")), INPUTS[name])
    read = decoded.astype(np.float64)
    norm = np.linalg.norm(x)
    distance = np.maximum(np.abs(x), norm * 2.0 ** (1 - magnitudes))
    assert (np.abs(read - x) <= distance * (1 + 1e-4) + 1e-37).all()
    assert (read * x >= 0).all()


@pytest.mark.parametrize("magnitudes", [1, 3, 15])
@pytest.mark.parametrize("name", ["random", "heavy", "one_hot"])
def test_is_unbiased(name, magnitudes):
    x = INPUTS[name][:100]
    span = np.maximum(np.abs(x), np.linalg.norm(x) * 2.0 ** (1 - magnitudes))
    assert_unbiased(estimates(quantized(Exponential(100, magnitudes, 40, "l2")), x, 4000), x, span=span)


def test_the_variance_is_within_an_eighth_of_the_squares():
    x = INPUTS["random"]
    # With 30 magnitudes nothing is below the smallest.
    assert relative_error(estimates(quantized(Exponential(SIZE, 30, SIZE, "l2")), x, 100), x) <= 1 / 8


def test_errs_less_than_even_levels_of_as_many_bits():
    """What the paper is about: most numbers are much smaller than the norm."""
    x = INPUTS["random"]
    exponential, even = (quantized(kind(SIZE, 7, SIZE, "l2")) for kind in (Exponential, Qsgd))
    assert relative_error(estimates(exponential, x, 100), x) < 0.5 * relative_error(estimates(even, x, 100), x)
