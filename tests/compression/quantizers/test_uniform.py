import numpy as np
import pytest

from fedcli.compression.quantizers.uniform import Uniform
from tests.compression.messages import (
    INPUTS,
    SIZE,
    assert_unbiased,
    estimates,
    quantized,
    relative_error,
    transmit,
)

ROUNDINGS = ("deterministic", "stochastic", "dithered")


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("bits", [2, 16])
@pytest.mark.parametrize("name", INPUTS)
def test_the_error_is_at_most_a_level(name, bits, rounding):
    x = INPUTS[name]
    decoded, sent, _ = transmit(quantized(Uniform(SIZE, bits, rounding)), x)
    spaces = 2**bits - 1 - (rounding == "dithered")
    step = (np.float64(x.max()) - x.min()) / spaces * (0.5 if rounding == "deterministic" else 1)
    # Positions are float32 numbers of up to 16 bits.
    assert np.abs(decoded.astype(np.float64) - x).max() <= step * 1.01 + 1e-6 * np.abs(x).max() + 1e-37
    assert sent == 64 + SIZE * bits + 64 * (rounding == "dithered")


@pytest.mark.parametrize("rounding", ["deterministic", "stochastic"])
def test_one_bit_sends_the_ends_of_the_range(rounding):
    decoded, bits, _ = transmit(quantized(Uniform(SIZE, 1, rounding)), INPUTS["random"])
    assert set(decoded) == {INPUTS["random"].min(), INPUTS["random"].max()}
    assert bits == 64 + SIZE


@pytest.mark.parametrize(("rounding", "bits"), [("stochastic", 1), ("stochastic", 3), ("dithered", 2), ("dithered", 4)])
@pytest.mark.parametrize("name", ["random", "heavy", "one_hot"])
def test_random_rounding_is_unbiased(name, rounding, bits):
    x = INPUTS[name][:100]
    step = np.ptp(x) / (2**bits - 1 - (rounding == "dithered"))
    assert_unbiased(estimates(quantized(Uniform(100, bits, rounding)), x, 2000), x, span=step)


def test_rounding_to_the_nearest_is_not():
    x = INPUTS["random"][:100]
    with pytest.raises(AssertionError):
        assert_unbiased(estimates(quantized(Uniform(100, 3, "deterministic")), x, 2000), x, span=np.ptp(x) / 7)


def test_dither_errs_less_than_stochastic_rounding_and_evenly():
    x = np.linspace(0, 1, 1000)
    codecs = [quantized(Uniform(1000, 5, rounding)) for rounding in ROUNDINGS]
    deterministic, stochastic, dithered = (relative_error(estimates(codec, x, 50), x) for codec in codecs)
    # In units of the step squared: 1/12, 1/6, 1/12; dither has one level fewer within the range.
    assert stochastic / deterministic == pytest.approx(2, rel=0.05)
    assert dithered / deterministic == pytest.approx((31 / 30) ** 2, rel=0.05)


def test_each_column_has_its_range():
    x = np.random.default_rng(0).normal(size=(200, 3)) * [1, 1000, 1e-3]
    decoded, bits, _ = transmit(quantized(Uniform(600, 8, "deterministic", channels=3)), x.ravel())
    error = np.abs(decoded.reshape(200, 3) - x).max(0)
    assert (error <= np.ptp(x, axis=0) / 255 / 2 * 1.01).all()
    assert bits == 3 * 64 + 600 * 8
    with pytest.raises(ValueError, match="no rows of 7"):
        Uniform(600, 8, "deterministic", channels=7)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_the_seed_decides(rounding):
    codec = quantized(Uniform(SIZE, 4, rounding))
    first, again, other = (transmit(codec, INPUTS["random"], seed)[0] for seed in ((1, 2), (1, 2), (2, 2)))
    np.testing.assert_array_equal(first, again)
    assert (first == other).all() == (rounding == "deterministic")
