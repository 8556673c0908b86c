from functools import cache

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.codec import stream_bits
from fedcli.compression.huffman_coded import HuffmanCoded


@cache
def transmission(alphabet, count):
    """A round of one client as a graph, in which loops are many times faster: what is read, and the next state."""
    coder = HuffmanCoded(alphabet)

    @tf.function(input_signature=[tf.TensorSpec([count], tf.int32), {"histogram": tf.TensorSpec([alphabet])}])
    def round(sent, state):
        message = coder.encode(sent, coder.parameters(state))
        decoded = coder.decode(message, count)
        return decoded, coder.update(state, coder.observe(decoded, message), tf.constant(1.0))

    return round


# The graph is made once for each alphabet and length.
@given(st.data(), st.sampled_from([(1, 5), (2, 0), (3, 60), (40, 7)]))
@settings(max_examples=40, deadline=None)
def test_reads_what_it_wrote_whatever_the_round_before_was(data, sizes):
    alphabet, count = sizes
    state = dict(HuffmanCoded(alphabet).initial_state())
    for _ in range(2):
        sent = data.draw(st.lists(st.integers(0, alphabet - 1), min_size=count, max_size=count))
        decoded, state = transmission(alphabet, count)(tf.constant(sent, tf.int32), dict(state))
        np.testing.assert_array_equal(decoded, sent)


def test_learns_the_frequencies_of_the_round_before():
    symbols = np.random.default_rng(0).choice(8, 4000, p=[0.65, 0.15, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01])
    counts = np.bincount(symbols, minlength=8)
    entropy = -(counts * np.log2(counts / 4000)).sum()
    symbols = tf.constant(symbols, tf.int32)
    coder = HuffmanCoded(8)
    state = coder.initial_state()
    first = coder.encode(symbols, coder.parameters(state))
    np.testing.assert_array_equal(first["code_lengths"], np.full(8, 3))
    state = coder.update(state, coder.observe(symbols, first), tf.constant(1.0))
    np.testing.assert_array_equal(state["histogram"], counts)
    second = coder.encode(symbols, coder.parameters(state))
    # Within 0.2 bits of the entropy, where the bound is one bit; and the bits that fill up the last byte and the like.
    assert entropy < stream_bits(second) < entropy + 0.2 * 4000 < stream_bits(first)


def test_a_round_without_clients_keeps_the_code():
    coder = HuffmanCoded(3)
    state = {"histogram": tf.constant([5.0, 1.0, 2.0])}
    after = coder.update(state, {"histogram": tf.zeros([3])}, tf.constant(0.0))
    np.testing.assert_array_equal(after["histogram"], state["histogram"])


def test_a_symbol_that_was_never_sent_has_a_code():
    coder = HuffmanCoded(4)
    lengths = coder.parameters({"histogram": tf.constant([1e6, 0.0, 0.0, 0.0])})["code_lengths"]
    assert lengths.dtype == tf.uint8
    assert (lengths.numpy() > 0).all()
