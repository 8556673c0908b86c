from collections import OrderedDict

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.codec import stream_bits
from fedcli.compression.sparse import RandomMask, Signs, TopK, Whole

#: No denormal numbers: TensorFlow flushes them to zero, all of them or none, as the processor and the kernel have it.
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
SEED = tf.constant([1, 2])


def sent(codec, x, seed=SEED):
    message = codec.encode(tf.constant(x, tf.float32), OrderedDict(), seed)
    return message, codec.decode(message)[0].numpy()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 60), elements=FLOATS), st.data())
def test_top_k_keeps_the_largest_exactly(x, data):
    k = data.draw(st.integers(1, len(x)))
    _, decoded = sent(TopK(len(x), Whole(k)), x)
    expected = np.zeros_like(x)
    places = np.argsort(-np.abs(x), kind="stable")[:k]
    expected[places] = x[places]
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("count", [1, 10, 1000])
def test_top_k_counts_the_places(count):
    x = np.random.default_rng(0).standard_normal(1000)
    message, _ = sent(TopK(1000, Whole(count)), x)
    assert int(stream_bits(message)) == 8 * len(message["stream"])
    # Every place costs a bit at least, and a thousand distances of one cost no more than that.
    assert count <= stream_bits(message) <= (1008 if count == 1000 else 20 * count + 8)


def test_signs_have_one_magnitude():
    message, decoded = sent(Signs(5), [1.0, -2.0, 3.0, -4.0, 0.0])
    np.testing.assert_allclose(decoded, [2, -2, 2, -2, 2])
    assert message["signs"].shape == (1,)


def test_a_random_mask_sends_so_many_places_and_no_more():
    x = np.arange(1, 101, dtype=np.float32)
    message, decoded = sent(RandomMask(100, Whole(20)), x)
    places = np.flatnonzero(decoded)
    assert len(places) == 20
    np.testing.assert_allclose(decoded[places], 5 * x[places], rtol=1e-6)
    assert int(stream_bits(message)) == 0  # the places follow from the seed
    assert set(np.flatnonzero(sent(RandomMask(100, Whole(20)), x, tf.constant([1, 3]))[1])) != set(places)


def test_a_random_mask_is_unbiased():
    """Each place is taken with probability k/n: the count over 2,000 seeds is binomial."""
    size, count, draws = 50, 10, 2000
    codec = RandomMask(size, Whole(count))
    decode = tf.function(
        lambda seed: codec.decode(codec.encode(tf.ones([size]), OrderedDict(), seed))[0],
        input_signature=[tf.TensorSpec([2], tf.int32)],
    )
    mean = np.mean([decode(tf.constant([0, i])).numpy() for i in range(draws)], 0)
    p = count / size
    error = np.sqrt((1 - p) / p / draws)
    # Bonferroni: the chance that one of 50 places is off by more is below 50 * 6e-7.
    assert np.abs(mean - 1).max() < 5 * error
