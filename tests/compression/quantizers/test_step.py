from collections import OrderedDict

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.quantizers.step import Step, quantize, root_mean_square

SEED = tf.constant([3, 4])


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_numbers_come_back_within_the_step(x):
    quantizer = Step(len(x), 0.5, "deterministic")
    symbols, header = quantizer.quantize(tf.constant(x), OrderedDict(), SEED)
    decoded = quantizer.dequantize(symbols, header).numpy()
    assert np.isfinite(decoded).all()
    step = 0.5 * root_mean_square(tf.constant(x)).numpy()
    # The scale is the one of least squares, so not each number, but all together err no more than by half a step each.
    assert np.sqrt(np.mean(np.square((decoded - x) / max(step, 1e-30)))) <= 0.5 + 1e-3


def test_zeros_stay_zeros():
    symbols, scale = quantize(tf.zeros([4]), tf.constant(0.0), "deterministic", SEED)
    assert not symbols.numpy().any()
    assert scale.numpy() == 0


def test_the_deterministic_scale_has_the_least_error():
    x = tf.constant(np.random.default_rng(0).laplace(size=1000), tf.float32)
    symbols, scale = quantize(x, tf.constant(2.0), "deterministic", SEED)

    def error(of):
        return np.square(x - of * tf.cast(symbols, tf.float32)).sum()

    assert error(scale) < min(error(0.99 * scale), error(1.01 * scale), error(2.0))


def test_stochastic_rounding_is_unbiased():
    x = np.array([0.1, -0.3, 0.75, 1.5, -2.25], np.float32)
    draws = 4000
    run = tf.function(
        lambda seed: quantize(tf.constant(x), tf.constant(1.0), "stochastic", seed)[0],
        input_signature=[tf.TensorSpec([2], tf.int32)],
    )
    mean = np.mean([run(tf.constant([0, i])).numpy() for i in range(draws)], 0)
    fraction = x - np.floor(x)
    error = np.sqrt(fraction * (1 - fraction) / draws)
    # Beyond 5 standard errors in one of 5 numbers: a chance of 3e-6.
    assert (np.abs(mean - x) < 5 * error).all()


def test_the_root_mean_square_neither_overflows_nor_vanishes():
    assert root_mean_square(tf.constant([3e30, -4e30])).numpy() == pytest.approx(np.sqrt(12.5) * 1e30, rel=1e-5)
    assert root_mean_square(tf.constant([3e-30, 4e-30])).numpy() == pytest.approx(np.sqrt(12.5) * 1e-30, rel=1e-5)
    assert root_mean_square(tf.zeros([3])).numpy() == 0
