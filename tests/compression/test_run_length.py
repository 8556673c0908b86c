import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.codec import stream_bits
from fedcli.compression.run_length import RunLength


@given(st.lists(st.integers(-(2**20), 2**20), max_size=60), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_reads_what_it_wrote(symbols, zero):
    coder = RunLength(zero)
    message = coder.encode(tf.constant(symbols, tf.int32), {})
    np.testing.assert_array_equal(coder.decode(message, len(symbols)), symbols)


def test_the_symbol_of_zero_costs_nothing():
    assert stream_bits(RunLength(7).encode(tf.fill([1000], 7), {})) == 0
    assert stream_bits(RunLength(7).encode(tf.fill([1000], 6), {})) >= 1000
