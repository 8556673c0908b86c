import math

import numpy as np
import pytest

from fedcli.compression.quantizers.one_bit import OneBit
from fedcli.compression.rotated import Rotated, block_size
from tests.compression.messages import (
    INPUTS,
    SIZE,
    assert_unbiased,
    estimates,
    quantized,
    relative_error,
    transmit,
)


def drive(size, scale="unbiased"):
    return Rotated(size, lambda padded: quantized(OneBit(padded, scale, block_size(size))))


def signs(size, scale="minimal_error"):
    return quantized(OneBit(size, scale, size))


def test_sends_one_bit_a_number_and_a_scale_a_block():
    assert block_size(4096) == 4096
    assert transmit(drive(4096), np.ones(4096))[1] == 64 + 32 + 4096
    assert transmit(drive(3 * 2**15), np.ones(3 * 2**15))[1] == 64 + 3 * 32 + 3 * 2**15
    assert transmit(signs(1000), np.ones(1000))[1] == 32 + 1000


def test_without_rotation_sends_signs_and_the_mean_magnitude():
    x = np.array([1, -2, 3, -6, 0])
    np.testing.assert_allclose(transmit(signs(5), x)[0], [2.4, -2.4, 2.4, -2.4, 2.4], rtol=1e-6)


def test_minimal_error_is_the_smallest_for_the_signs():
    x = INPUTS["heavy"].astype(np.float64)
    scale = np.abs(transmit(signs(SIZE), x)[0][0])
    errors = [np.square(x - np.sign(x) * factor * scale).sum() for factor in (0.99, 1, 1.01)]
    assert errors[1] == min(errors)


@pytest.mark.parametrize("name", ["random", "heavy", "positive", "constant", "huge", "tiny", "one_hot"])
def test_unbiased_keeps_the_part_along_the_vector(name):
    """The paper's identity for its unbiased scale: the inner product with the vector is its squared norm."""
    x = INPUTS[name].astype(np.float64)
    decoded, _, _ = transmit(drive(SIZE), INPUTS[name])
    assert decoded.astype(np.float64) @ x / (x @ x) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("make", [np.random.default_rng(0).normal, np.random.default_rng(0).standard_cauchy])
def test_is_unbiased_in_a_large_block(make):
    """The Hadamard rotation's own bias, which falls with the block's size, is too small to be seen by 600 seeds."""
    x = np.clip(make(size=4096), -20, 20)
    assert_unbiased(estimates(drive(4096), x, 600), x)


def test_is_not_unbiased_in_a_small_block():
    """As the docstring says: of two numbers, the randomized Hadamard rotation keeps only the larger one."""
    decoded = estimates(drive(2), [2.0, 1.0], 200)
    np.testing.assert_allclose(decoded, np.tile([2.5, 0], (200, 1)), atol=1e-5)


def test_the_errors_are_the_papers():
    x = np.random.default_rng(1).standard_t(3, size=4096)
    assert relative_error(estimates(drive(4096), x, 100), x) == pytest.approx(math.pi / 2 - 1, rel=0.03)
    minimal = estimates(drive(4096, "minimal_error"), x, 100)
    assert relative_error(minimal, x) == pytest.approx(1 - 2 / math.pi, rel=0.03)


def test_the_mean_over_clients_comes_closer_with_the_unbiased_scale():
    x = np.random.default_rng(1).standard_t(3, size=4096)
    unbiased, minimal = (estimates(drive(4096, scale), x, 50).mean(0) for scale in ("unbiased", "minimal_error"))
    assert relative_error(unbiased, x) < 0.1 * relative_error(minimal, x)


@pytest.mark.parametrize("codec", [drive(SIZE), drive(SIZE, "minimal_error"), signs(SIZE)])
@pytest.mark.parametrize("name", INPUTS)
def test_any_vector_gives_a_finite_one(name, codec):
    x = INPUTS[name].astype(np.float64)
    decoded, _, _ = transmit(codec, INPUTS[name])
    assert decoded.shape == x.shape
    assert np.linalg.norm(decoded.astype(np.float64)) <= 1.5 * np.linalg.norm(x) + 1e-30


def test_a_block_is_a_part():
    with pytest.raises(ValueError, match="no blocks of 7"):
        OneBit(100, "unbiased", 7)
