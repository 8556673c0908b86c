import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard as scipy_hadamard

from fedcli.compression.rotated import Rotated, block_size, hadamard
from fedcli.compression.sparse import Whole
from tests.compression.messages import INPUTS, SIZE, transmit


@pytest.mark.parametrize("width", [1, 2, 32, 64, 2048])
def test_is_the_hadamard_matrix(width):
    expected = scipy_hadamard(width) / np.sqrt(width)
    np.testing.assert_allclose(hadamard(tf.eye(width)), expected, atol=1e-6)


@pytest.mark.parametrize("width", [1, 16, 256, 2**15])
def test_keeps_norms_and_is_its_own_inverse(width):
    x = tf.constant(np.random.default_rng(0).normal(size=(3, width)), tf.float32)
    rotated = hadamard(x)
    assert rotated.shape == x.shape
    np.testing.assert_allclose(tf.norm(rotated, axis=1), tf.norm(x, axis=1), rtol=1e-5)
    np.testing.assert_allclose(hadamard(rotated), x, atol=1e-5)


@given(st.integers(1, 5_000_000))
def test_blocks_are_the_largest_that_pad_at_most_a_hundredth(size):
    block = block_size(size)
    assert block & (block - 1) == 0
    assert block <= 2**15
    assert -(-size // block) * block <= 1.01 * size
    larger = 2 * block
    assert larger > 2**15 or -(-size // larger) * larger > 1.01 * size


@pytest.mark.parametrize("size", [1, 3, 1000, 4096])
def test_gives_back_what_the_inner_codec_kept(size):
    x = np.random.default_rng(0).normal(size=size)
    decoded, bits, _ = transmit(Rotated(size, Whole), x)
    np.testing.assert_allclose(decoded, x, atol=1e-5)
    # The seed of the rotation, and the padded numbers.
    assert bits == 64 + 32 * -(-size // block_size(size)) * block_size(size)


@pytest.mark.parametrize("name", [name for name in INPUTS if name != "denormal"])
def test_gives_back_any_vector(name):
    decoded, _, _ = transmit(Rotated(SIZE, Whole), INPUTS[name])
    np.testing.assert_allclose(decoded, INPUTS[name], atol=1e-5 * max(np.abs(INPUTS[name]).max(), 1e-30))


def test_spreads_a_single_number_over_its_block():
    codec = Rotated(1024, Whole)
    message = codec.encode(tf.one_hot(5, 1024) * 32.0, {}, tf.constant([1, 2]))
    np.testing.assert_allclose(np.abs(message["rotated"]["values"]), 1.0, rtol=1e-5)


def test_another_seed_is_another_rotation():
    codec = Rotated(1024, Whole)
    x = tf.random.stateless_normal([1024], [0, 0])
    one, other = (codec.encode(x, {}, tf.constant([1, seed]))["rotated"]["values"].numpy() for seed in (2, 3))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
