import numpy as np
import pytest
import tensorflow as tf

from fedcli.compression.quantizers.level_fit import BINS, normal_levels
from fedcli.compression.quantizers.lloyd_max import LloydMax
from fedcli.compression.quantizers.uniform import Uniform
from tests.compression.messages import INPUTS, SIZE, quantized, relative_error, transmit


@pytest.mark.parametrize("bits", range(1, 9))
def test_sends_symbols_a_scale_levels_and_a_histogram(bits):
    _, sent, _ = transmit(quantized(LloydMax(SIZE, bits)), INPUTS["random"])
    assert sent == SIZE * bits + 32 + 32 * 2**bits + 16 * BINS


@pytest.mark.parametrize("bits", [1, 5])
@pytest.mark.parametrize("name", INPUTS)
def test_any_vector_is_read_with_its_mean_and_an_error_smaller_than_itself(name, bits):
    x = INPUTS[name].astype(np.float64)
    codec = quantized(LloydMax(SIZE, bits))
    state = None
    for _ in range(2):
        decoded, _, state = transmit(codec, INPUTS[name], state=state)
        read = decoded.astype(np.float64)
        # Means of cells: the sum is right, and the error is orthogonal to what was read.
        largest = np.abs(x).max()
        assert abs(read.mean() - x.mean()) <= 1e-5 * largest + 1e-37
        assert abs(read @ (x - read)) <= 1e-5 * (x @ x) + 1e-70
        assert np.linalg.norm(read - x) <= np.linalg.norm(x) + 1e-37
        levels = state["quantizer"]["levels"].numpy()
        assert np.isfinite(levels).all()
        assert (np.diff(levels) >= 0).all()


def test_the_first_levels_are_those_for_a_normal_distribution():
    x = np.random.default_rng(0).normal(size=100_000)
    decoded, _, _ = transmit(quantized(LloydMax(100_000, 2)), x)
    assert relative_error(decoded, x) == pytest.approx(0.1175, rel=0.02)


@pytest.mark.parametrize(("bits", "gain"), [(3, 0.9), (5, 0.6), (8, 0.2)])
def test_learns_the_distribution_in_a_round(bits, gain):
    rng = np.random.default_rng(0)
    first, second = rng.laplace(size=(2, 50_000)) * [[1], [1000]]
    codec = quantized(LloydMax(50_000, bits))
    unfitted, _, state = transmit(codec, first)
    fitted, _, _ = transmit(codec, second, state=state)
    assert relative_error(fitted, second) < gain * relative_error(unfitted, first)
    uniform, _, _ = transmit(quantized(Uniform(50_000, bits, "deterministic")), second)
    assert relative_error(fitted, second) < 0.5 * relative_error(uniform, second)


def test_clients_without_a_number_but_zero_teach_nothing():
    codec = quantized(LloydMax(SIZE, 3))
    _, _, state = transmit(codec, INPUTS["zero"])
    np.testing.assert_allclose(state["quantizer"]["levels"], normal_levels(8), rtol=1e-6)


def test_a_round_without_clients_keeps_the_levels():
    quantizer = LloydMax(SIZE, 3)
    state = {"levels": tf.range(8.0)}
    after = quantizer.update(state, {"histogram": tf.zeros([BINS])}, tf.constant(0.0))
    np.testing.assert_array_equal(after["levels"], state["levels"])
