from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedcli.compression.coders import elias
from tests.compression.coders.helpers import fixed, in_session, stream

VECTOR, STREAM, SCALAR = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.uint8), tf.TensorSpec([], tf.int32)
encode = tf.function(elias.encode, input_signature=[VECTOR])
decode = tf.function(elias.decode, input_signature=[STREAM, SCALAR])
encode_gaps = tf.function(elias.encode_gaps, input_signature=[VECTOR])
decode_gaps = tf.function(elias.decode_gaps, input_signature=[STREAM, SCALAR])

LOWEST, HIGHEST = -(2**31), 2**31 - 1


def gamma(x):
    """The two parts of an Elias gamma code: the zeros and the one, and the low bits."""
    bits = x.bit_length() - 1
    return "0" * bits + "1", fixed(x - 2**bits, bits)


def encoded_slowly(vector):
    marks = low = ""
    gap = 1
    for value in map(int, vector):
        if value == 0:
            gap += 1
            continue
        (gap_mark, gap_low), (mark, value_low) = gamma(gap), gamma(abs(value))
        marks += gap_mark + mark
        low += gap_low + "01"[value < 0] + value_low
        gap = 1
    return stream(marks + low + "1" if marks else "")


def gaps_encoded_slowly(indices):
    codes = [gamma(index - before) for before, index in pairwise([-1, *indices])]
    return stream("".join(mark for mark, _ in codes) + "".join(low for _, low in codes))


def sparse(nonzero):
    """Vectors of runs of zeros and single values."""
    run = st.one_of(st.integers(0, 3), st.integers(0, 300))
    runs = st.lists(st.tuples(run, nonzero), max_size=30)
    return st.builds(
        lambda runs, end: [x for zeros, value in runs for x in (*[0] * zeros, value)] + [0] * end, runs, run
    )


small = st.integers(-3, 3)
any_value = st.integers(LOWEST, HIGHEST)
extreme = st.sampled_from([LOWEST, HIGHEST, -(2**30), 2**30, 2**30 - 1, -1, 1])


@given(st.one_of(sparse(small), sparse(any_value), sparse(extreme), st.lists(any_value, max_size=50)))
@example([])
@example([0])
@example([LOWEST])
@example([0] * 1000)
@example([1] * 1000)
@example([0] * 999 + [-1])
@settings(deadline=None, max_examples=60)
def test_encodes_as_a_string_of_bits_and_decodes(vector):
    vector = np.array(vector, np.int32)
    data = encode(vector).numpy()
    np.testing.assert_array_equal(data, encoded_slowly(vector))
    np.testing.assert_array_equal(decode(data, len(vector)), vector)
    # As where a stream is sent in a buffer that is longer.
    np.testing.assert_array_equal(decode(np.append(data, np.zeros(9, np.uint8)), len(vector)), vector)


@pytest.mark.parametrize("density", [0, 0.001, 0.01, 0.3, 1])
def test_encodes_long_vectors(density):
    generator = np.random.default_rng(7)
    values = generator.geometric(0.4, 200_000) * generator.choice([-1, 1], 200_000)
    vector = np.where(generator.random(200_000) < density, values, 0).astype(np.int32)
    data = encode(vector)
    np.testing.assert_array_equal(data, encoded_slowly(vector))
    np.testing.assert_array_equal(decode(data, len(vector)), vector)


@pytest.mark.parametrize("place", [0, 2**20 - 1, 2**20, 2_000_000 - 1])
def test_encodes_the_longest_gaps(place):
    vector = np.zeros(2_000_000, np.int32)
    vector[place] = LOWEST
    data = encode(vector)
    # Both codes, the sign and the end.
    assert len(data) == -(-(2 * (place + 1).bit_length() - 1 + 1 + 63 + 1) // 8)
    np.testing.assert_array_equal(decode(data, len(vector)), vector)


def test_takes_one_bit_more_than_the_codes_themselves():
    vector = np.random.default_rng(3).integers(-5, 6, 1000).astype(np.int32)
    places = np.flatnonzero(vector)
    gaps = np.diff(places, prepend=-1)
    bits = sum(2 * int(x).bit_length() - 1 for x in [*gaps, *abs(vector[places])]) + len(places)
    assert len(encode(vector)) == -(-(bits + 1) // 8)


@given(st.one_of(st.sets(st.integers(0, 100)), st.sets(st.integers(0, HIGHEST - 1), max_size=40)).map(sorted))
@example([])
@example([HIGHEST - 1])
@example([0, HIGHEST - 1])
@settings(deadline=None, max_examples=60)
def test_encodes_places_alone(indices):
    data = encode_gaps(np.array(indices, np.int32)).numpy()
    np.testing.assert_array_equal(data, gaps_encoded_slowly(indices))
    np.testing.assert_array_equal(decode_gaps(data, len(indices)), indices)


def test_takes_places_as_64_bit_integers_too():
    indices = tf.constant([0, 5, 6, 1_000_000], tf.int64)
    np.testing.assert_array_equal(elias.decode_gaps(elias.encode_gaps(indices), 4), indices)


def test_works_inside_tff_computations():
    generator = np.random.default_rng(5)
    vector = np.where(generator.random(5000) < 0.02, generator.integers(-9, 9, 5000), 0).astype(np.int32)
    data = in_session(elias.encode, (np.int32, [5000]))(vector)
    np.testing.assert_array_equal(data, encoded_slowly(vector))
    np.testing.assert_array_equal(in_session(lambda x: elias.decode(x, 5000), (np.uint8, [None]))(data), vector)

    indices = np.flatnonzero(vector).astype(np.int32)
    data = in_session(elias.encode_gaps, (np.int32, [None]))(indices)
    read = in_session(lambda x: elias.decode_gaps(x, len(indices)), (np.uint8, [None]))
    np.testing.assert_array_equal(read(data), indices)


def test_reports_a_stream_of_a_longer_vector():
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encode(np.array([0] * 99 + [1], np.int32)), 50)
