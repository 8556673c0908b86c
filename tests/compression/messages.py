"""What tests of codecs share: inputs, a round trip, and a test of unbiasedness."""

import numpy as np
import tensorflow as tf

import fedcli.runtime.engine.no_worker  # noqa: F401 (no TFF worker at exit)
from fedcli.compression.packed import Packed
from fedcli.compression.quantized import Quantized

SIZE = 1000

#: Vectors of SIZE numbers that have broken coders before.
INPUTS = {
    "random": np.random.default_rng(0).normal(size=SIZE),
    "heavy": np.random.default_rng(1).standard_t(2, size=SIZE),
    "positive": np.random.default_rng(2).random(SIZE) + 3,
    "constant": np.full(SIZE, -0.3),
    "zero": np.zeros(SIZE),
    "huge": np.random.default_rng(3).normal(size=SIZE) * 1e30,
    "tiny": np.random.default_rng(4).normal(size=SIZE) * 1e-30,
    "denormal": np.random.default_rng(5).normal(size=SIZE) * 1e-41,
    "one_hot": np.eye(1, SIZE, 17)[0] * 5,
}
INPUTS = {name: x.astype(np.float32) for name, x in INPUTS.items()}


def quantized(quantizer):
    """The quantizer with its symbols in a fixed number of bits."""
    return Quantized(quantizer, Packed(quantizer.alphabet))


def transmit(codec, x, seed=(1, 2), state=None):
    """Returns what is decoded, the bits of the message, and the next state."""
    state = codec.initial_state() if state is None else state
    message = codec.encode(tf.constant(x, tf.float32), codec.parameters(state), tf.constant(seed, tf.int32))
    decoded, observed = codec.decode(message)
    bits = sum(8 * tensor.numpy().nbytes for tensor in tf.nest.flatten(message))
    # What learns does so in loops, which are many times faster in a graph; to make one takes longer than no work.
    update = tf.function(codec.update) if state else codec.update
    return decoded.numpy(), bits, update(state, observed, tf.constant(1.0))


def estimates(codec, x, count):
    """Returns what is decoded with so many seeds, float64 [count, size]."""
    x = tf.constant(x, tf.float32)
    parameters = codec.parameters(codec.initial_state())

    @tf.function
    def all_of(seeds):
        return tf.map_fn(lambda seed: codec.decode(codec.encode(x, parameters, seed))[0], seeds, tf.float32)

    seeds = np.random.default_rng(7).integers(-(2**31), 2**31, size=(count, 2), dtype=np.int64)
    return all_of(tf.constant(seeds.astype(np.int32))).numpy().astype(np.float64)


def assert_unbiased(decoded, x, span=None):
    """Checks that the mean over seeds is x in every coordinate; a right estimator fails with less than 1e-6.

    Args:
        decoded: [count, n], what `estimates` returned.
        x: [n].
        span: How far apart the values of a coordinate can be, a number or [n]. The bound is then Maurer and Pontil's
            (2009, theorem 4: Bernstein's with the empirical variance) with 1e-6 / n a coordinate. None for values with
            nearly a normal distribution: the bound is 7 standard errors, 2.6e-12 a coordinate.
    """
    x = np.asarray(x, np.float64)
    count, n = decoded.shape
    deviation = decoded.std(0, ddof=1) / np.sqrt(count)
    if span is None:
        bound = 7 * deviation
    else:
        logarithm = np.log(4 * n / 1e-6)
        bound = np.sqrt(2 * logarithm) * deviation + 7 * logarithm * span / (3 * (count - 1))
    # Decoded numbers are float32.
    assert (np.abs(decoded.mean(0) - x) <= bound + 1e-5 * np.abs(x).max()).all()


def relative_error(decoded, x):
    """The squared error relative to the squared norm, the mean over seeds."""
    x = np.asarray(x, np.float64)
    return np.square(decoded - x).sum(-1).mean() / np.square(x).sum()
