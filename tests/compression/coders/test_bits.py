from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.compression.coders.bits import MAX_BITS, code_offsets, pack, packed_size, read_codes, unpack, write_codes
from tests.compression.coders.helpers import fixed, in_session, stream

WIDTHS = range(1, MAX_BITS + 1)


@cache
def packer(bits):
    return tf.function(lambda values: pack(values, bits), input_signature=[tf.TensorSpec([None], tf.int32)])


@cache
def unpacker(bits):
    signature = [tf.TensorSpec([None], tf.uint8), tf.TensorSpec([], tf.int32)]
    return tf.function(lambda data, count: unpack(data, bits, count), input_signature=signature)


@tf.function(input_signature=[tf.TensorSpec([None], tf.uint64), tf.TensorSpec([None], tf.int32)])
def written(values, lengths):
    return write_codes(values, lengths)


@tf.function(input_signature=[tf.TensorSpec([None], tf.uint8), tf.TensorSpec([None], tf.int32)])
def read(data, lengths):
    return read_codes(data, code_offsets(lengths)[0], lengths)


def packed_slowly(values, bits):
    if bits <= 8:
        return stream("".join(fixed(value, bits) for value in values))
    high = "".join(fixed(value >> 8, bits - 8) for value in values)
    return np.concatenate([np.array([value & 255 for value in values], np.uint8), stream(high)])


@st.composite
def values_of_width(draw):
    bits = draw(st.sampled_from(WIDTHS))
    return bits, draw(st.lists(st.integers(0, 2**bits - 1), max_size=70))


@given(values_of_width())
@settings(deadline=None, max_examples=60)
def test_packs_what_a_string_of_bits_holds_and_unpacks_it(case):
    bits, values = case
    data = packer(bits)(np.array(values, np.int32)).numpy()
    np.testing.assert_array_equal(data, packed_slowly(values, bits))
    assert len(data) == packed_size(len(values), bits) == -(-len(values) * bits // 8)
    np.testing.assert_array_equal(unpacker(bits)(data, len(values)), values)


@pytest.mark.parametrize("bits", WIDTHS)
def test_packs_many_values(bits):
    values = np.random.default_rng(bits).integers(0, 2**bits, 100_003, dtype=np.int32)
    np.testing.assert_array_equal(unpacker(bits)(packer(bits)(values), len(values)), values)


@pytest.mark.parametrize("bits", WIDTHS)
def test_packs_inside_a_tff_computation(bits):
    values = np.random.default_rng(bits).integers(0, 2**bits, 1001, dtype=np.int32)
    data = in_session(lambda x: pack(x, bits), (np.int32, [1001]))(values)
    np.testing.assert_array_equal(data, packed_slowly(values.tolist(), bits))
    np.testing.assert_array_equal(in_session(lambda x: unpack(x, bits, 1001), (np.uint8, [None]))(data), values)


@pytest.mark.parametrize("bits", WIDTHS)
def test_knows_the_shapes_where_the_count_is_known(bits):
    with tf.Graph().as_default():
        data = pack(tf.zeros([1001], tf.int32), bits)
        assert data.shape == [packed_size(1001, bits)]
        assert unpack(tf.compat.v1.placeholder(tf.uint8, [None]), bits, 1001).shape == [1001]


@pytest.mark.parametrize("bits", [0, 17, -1])
def test_refuses_widths_that_it_cannot_pack(bits):
    with pytest.raises(ValueError, match="from 1 to 16 bits"):
        pack(tf.zeros([3], tf.int32), bits)
    with pytest.raises(ValueError, match="from 1 to 16 bits"):
        unpack(tf.zeros([3], tf.uint8), bits, 3)


def codes(longest):
    code = st.integers(0, longest).flatmap(lambda length: st.tuples(st.integers(0, 2**length - 1), st.just(length)))
    return st.lists(code, max_size=60)


@given(codes(64))
@settings(deadline=None, max_examples=60)
def test_writes_codes_of_any_length(codes):
    values, lengths = [value for value, _ in codes], [length for _, length in codes]
    data = written(np.array(values, np.uint64), np.array(lengths, np.int32))
    np.testing.assert_array_equal(data, stream("".join(fixed(*code) for code in codes)))


@given(codes(63))
@settings(deadline=None, max_examples=60)
def test_reads_the_codes_that_it_wrote(codes):
    values, lengths = [value for value, _ in codes], np.array([length for _, length in codes], np.int32)
    data = write_codes(tf.constant(values, tf.int64), lengths) if values else tf.zeros([0], tf.uint8)
    np.testing.assert_array_equal(read(data, lengths), values)


@pytest.mark.parametrize("longest", [0, 1, 5, 64])
def test_writes_many_codes(longest):
    generator = np.random.default_rng(longest)
    lengths = generator.integers(0, longest, 20_000, dtype=np.int32, endpoint=True)
    values = [int(generator.integers(2**63)) >> (64 - int(length)) for length in lengths]
    data = written(np.array(values, np.uint64), lengths)
    np.testing.assert_array_equal(data, stream("".join(map(fixed, values, lengths))))


def test_knows_where_codes_begin():
    lengths = np.random.default_rng(0).integers(0, 65, 100_001, dtype=np.int32)
    offsets, total = code_offsets(tf.constant(lengths))
    np.testing.assert_array_equal(offsets, np.cumsum(lengths, dtype=np.int64) - lengths)
    assert int(total) == lengths.sum()
