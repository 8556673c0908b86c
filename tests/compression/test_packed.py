import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.packed import Packed


@pytest.mark.parametrize(
    ("alphabet", "group", "bits"),
    [(1, 1, 1), (2, 1, 1), (3, 5, 8), (4, 1, 2), (5, 3, 7), (15, 1, 4), (256, 1, 8), (257, 1, 9), (2**16, 1, 16)],
)
def test_groups_symbols_where_that_saves_bits(alphabet, group, bits):
    packed = Packed(alphabet)
    assert (packed.group, packed.bits) == (group, bits)


@pytest.mark.parametrize("alphabet", range(2, 70))
def test_a_group_takes_at_most_a_symbols_own_bits(alphabet):
    packed = Packed(alphabet)
    assert alphabet**packed.group <= 2**packed.bits
    assert packed.bits / packed.group <= (alphabet - 1).bit_length()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_reads_what_it_wrote(data):
    alphabet = data.draw(st.one_of(st.integers(1, 20), st.integers(21, 2**16)))
    symbols = data.draw(st.lists(st.integers(0, alphabet - 1), max_size=40))
    packed = Packed(alphabet)
    message = packed.encode(tf.constant(symbols, tf.int32), {})
    assert message["packed"].shape[0] == -(-(-(-len(symbols) // packed.group) * packed.bits) // 8)
    np.testing.assert_array_equal(packed.decode(message, len(symbols)), symbols)


def test_trits_take_1_6_bits():
    symbols = tf.constant(np.random.default_rng(0).integers(0, 3, 1000), tf.int32)
    assert Packed(3).encode(symbols, {})["packed"].shape == [200]
