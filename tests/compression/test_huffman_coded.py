import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.codec import stream_bits
from fedcli.compression.huffman_coded import HuffmanCoded


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_reads_what_it_wrote_whatever_the_round_before_was(data):
    alphabet = data.draw(st.integers(1, 40))
    symbols = st.lists(st.integers(0, alphabet - 1), max_size=60)
    coder = HuffmanCoded(alphabet)
    state = coder.initial_state()
    for sent in (data.draw(symbols), data.draw(symbols)):
        message = coder.encode(tf.constant(sent, tf.int32), coder.parameters(state))
        decoded = coder.decode(message, len(sent))
        np.testing.assert_array_equal(decoded, sent)
        state = coder.update(state, coder.observe(decoded, message), tf.constant(1.0))


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
