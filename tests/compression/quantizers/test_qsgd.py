import math

import numpy as np
import pytest

from fedcli.compression.quantized import Quantized
from fedcli.compression.quantizers.qsgd import Qsgd
from fedcli.compression.run_length import RunLength
from tests.compression.messages import (
    INPUTS,
    SIZE,
    assert_unbiased,
    estimates,
    quantized,
    relative_error,
    transmit,
)


@pytest.mark.parametrize("norm", ["l2", "max"])
@pytest.mark.parametrize(("levels", "bucket"), [(1, SIZE), (7, 128), (127, 5000), (3, 1)])
@pytest.mark.parametrize("name", INPUTS)
def test_the_error_is_at_most_a_level(name, levels, bucket, norm):
    x = INPUTS[name].astype(np.float64)
    decoded, _, _ = transmit(quantized(Qsgd(SIZE, levels, bucket, norm)), INPUTS[name])
    assert decoded.shape == x.shape
    for start in range(0, SIZE, bucket):
        part, read = x[start : start + bucket], decoded[start : start + bucket].astype(np.float64)
        size = np.linalg.norm(part) if norm == "l2" else np.abs(part).max()
        assert np.abs(read - part).max() <= size / levels * (1 + 1e-5) + 1e-37
        # Signs are kept, and what is zero stays zero.
        assert (read * part >= 0).all()
        assert not read[part == 0].any()


def test_a_norm_too_large_for_floats_is_cut():
    decoded, _, _ = transmit(quantized(Qsgd(SIZE, 3, SIZE, "l2")), np.full(SIZE, 3e38))
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("norm", ["l2", "max"])
@pytest.mark.parametrize("name", ["random", "heavy", "positive", "one_hot"])
def test_is_unbiased(name, norm):
    x = INPUTS[name][:100]
    assert_unbiased(estimates(quantized(Qsgd(100, 4, 30, norm)), x, 3000), x, span=np.linalg.norm(x) / 4)


@pytest.mark.parametrize("levels", [1, 4, 16, 64])
def test_the_variance_is_within_the_papers_bound(levels):
    """Lemma 3.1: min(d / s^2, sqrt(d) / s) of the squared norm."""
    x = INPUTS["random"][:256]
    error = relative_error(estimates(quantized(Qsgd(256, levels, 256, "l2")), x, 300), x)
    assert error <= min(256 / levels**2, math.sqrt(256) / levels)


def test_sends_a_norm_a_bucket():
    # 3 levels are 7 symbols of 3 bits; 1000 numbers are 8 buckets of 128, the last one smaller.
    assert transmit(quantized(Qsgd(SIZE, 3, 128, "l2")), INPUTS["random"])[1] == 8 * 32 + 3 * SIZE


def test_elias_needs_few_bits_where_most_are_zero():
    """Theorem 3.2, for s=1: about sqrt(d) numbers are not zero, so the bits are of the order sqrt(d) log d."""
    size = 10_000
    x = np.random.default_rng(0).normal(size=size)
    codec = Quantized(Qsgd(size, 1, size, "l2"), RunLength(1))
    decoded, bits, _ = transmit(codec, x)
    nonzero = np.count_nonzero(decoded)
    assert 0.5 * math.sqrt(size) < nonzero < 1.5 * math.sqrt(size)
    assert bits <= 32 + nonzero * (2 * math.log2(size / nonzero) + 4) + 8
