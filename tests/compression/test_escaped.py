from functools import cache

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.codec import stream_bits
from fedcli.compression.escaped import ALPHABET, Escaped
from fedcli.compression.huffman_coded import HuffmanCoded

INTEGERS = st.one_of(
    st.integers(-3, 3), st.integers(-130, 130), st.sampled_from([-(2**30), 2**30, -127, 128, -126, 127])
)


def escaped():
    return Escaped(HuffmanCoded(ALPHABET))


@cache
def transmission(count):
    """A message of one client as a graph, in which loops are many times faster: what is read, and the bits."""
    coder = escaped()

    @tf.function(input_signature=[tf.TensorSpec([count], tf.int32)])
    def send(sent):
        message = coder.encode(sent, coder.parameters(coder.initial_state()))
        return coder.decode(message, count), stream_bits(message["large"])

    return send


@given(st.data(), st.sampled_from([0, 5, 60]))
@settings(max_examples=60, deadline=None)
def test_integers_of_any_size_come_back(data, count):
    sent = data.draw(st.lists(INTEGERS, min_size=count, max_size=count))
    decoded, bits = transmission(count)(tf.constant(sent, tf.int32))
    np.testing.assert_array_equal(decoded, sent)
    assert (bits > 0) == any(not -126 <= integer <= 127 for integer in sent)


def test_the_inner_coder_learns_how_often_an_integer_is_large():
    coder = escaped()
    sent = tf.constant([5, 5, 0, 1000, -1000, -127])
    message = coder.encode(sent, coder.parameters(coder.initial_state()))
    state = coder.update(coder.initial_state(), coder.observe(sent, message), tf.constant(1.0))
    histogram = state["histogram"].numpy()
    assert {place: histogram[place] for place in np.flatnonzero(histogram)} == {0: 3, 127: 1, 132: 2}
