from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedcli.compression.coders import huffman
from fedcli.compression.coders.huffman import BLOCK, code_lengths
from tests.compression.coders.helpers import fixed, in_session, stream

VECTOR, STREAM, SCALAR = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.uint8), tf.TensorSpec([], tf.int32)


@cache
def encoder(size):
    return tf.function(huffman.encode, input_signature=[VECTOR, tf.TensorSpec([size], tf.int32)])


@cache
def decoder(size):
    return tf.function(huffman.decode, input_signature=[STREAM, tf.TensorSpec([size], tf.int32), SCALAR])


def canonical_codes(lengths):
    """The three steps of RFC 1951, section 3.2.2, codes as strings."""
    counts = np.bincount(lengths)
    code, next_code = 0, {}
    for bits in range(1, len(counts)):
        code = (code + (counts[bits - 1] if bits > 1 else 0)) << 1
        next_code[bits] = code
    codes = []
    for length in lengths:
        codes.append(fixed(next_code[length], length))
        next_code[length] += 1
    return codes


def encoded_slowly(symbols, lengths):
    codes = canonical_codes(lengths)
    blocks = ["".join(codes[s] for s in symbols[i : i + BLOCK]) for i in range(0, len(symbols), BLOCK)]
    header = ""
    if len(blocks) > 1:
        sizes = [len(block) for block in blocks[:-1]]
        width = (max(sizes) - min(sizes)).bit_length()
        header = fixed(min(sizes), 15) + fixed(width, 4) + "".join(fixed(size - min(sizes), width) for size in sizes)
    return stream(header + "".join(blocks))


def check(symbols, lengths):
    symbols, lengths = np.array(symbols, np.int32), np.array(lengths, np.int32)
    data = encoder(len(lengths))(symbols, lengths).numpy()
    if len(lengths) > 1:
        np.testing.assert_array_equal(data, encoded_slowly(symbols, lengths))
    else:
        assert len(data) == 0
    np.testing.assert_array_equal(decoder(len(lengths))(data, lengths, len(symbols)), symbols)
    return data


def lengths_of(histogram):
    return code_lengths(tf.constant(histogram, tf.int64)).numpy()


SIZES = (1, 2, 3, 19, 300)
LENGTHS = {
    size: [lengths_of([int(1.5 ** min(skew * i, 90)) for i in range(size)]) for skew in range(4)] for size in SIZES
}


@st.composite
def messages(draw):
    size = draw(st.sampled_from(SIZES))
    lengths = draw(st.sampled_from(LENGTHS[size]))
    # A few symbols, often repeated; the lengths come from another histogram, in which they may be absent.
    symbols = draw(st.lists(st.integers(0, size - 1), max_size=40))
    return symbols * draw(st.sampled_from([1, 1, 30, 100])), lengths


@given(messages())
@example(([], LENGTHS[300][0]))
@example(([0] * BLOCK, LENGTHS[2][0]))
@example(([18] * (3 * BLOCK), LENGTHS[19][3]))
@example(([0] * (3 * BLOCK), LENGTHS[300][3]))
@settings(deadline=None, max_examples=60)
def test_encodes_as_a_string_of_bits_and_decodes(message):
    check(*message)


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1])
def test_reads_blocks_that_are_full_or_not(count):
    symbols = np.random.default_rng(count).integers(0, 19, count)
    check(symbols, LENGTHS[19][1])


@pytest.mark.parametrize("size", [3, 19, 256, 300])
@pytest.mark.parametrize("scale", [0.3, 2, 40])
def test_encodes_many_symbols(size, scale):
    noise = np.random.default_rng(size).laplace(size / 2, scale, 60_000)
    symbols = np.clip(np.round(noise), 0, size - 1).astype(np.int32)
    histogram = np.bincount(symbols, minlength=size)
    lengths = lengths_of(histogram)
    data = check(symbols, lengths)
    bits = int((lengths * histogram).sum())
    assert bits <= 8 * len(data) <= bits + 19 + 14 * (len(symbols) / BLOCK) + 8


def test_encodes_with_the_deepest_codes():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = lengths_of(fibonacci)
    assert max(lengths) == huffman.MAX_LENGTH
    generator = np.random.default_rng(0)
    for symbols in (np.arange(40), np.zeros(5000), np.full(5000, 39), generator.integers(0, 40, 20_000)):
        check(symbols, lengths)


@pytest.mark.parametrize("common", [0, 10**12])
def test_encodes_the_largest_alphabet(common):
    histogram = np.zeros(2**16, np.int64)
    histogram[77] = common
    generator = np.random.default_rng(1)
    symbols = np.where(generator.random(10_000) < 0.5, 77, generator.integers(0, 2**16, 10_000))
    check(symbols, lengths_of(histogram))


def test_encodes_symbols_that_the_histogram_has_not_seen():
    lengths = lengths_of([1_000_000, *[0] * 18])
    check(np.arange(19), lengths)
    check(np.full(4000, 7), lengths)


def test_works_inside_tff_computations():
    symbols = np.clip(np.random.default_rng(2).geometric(0.4, 5000), 0, 18).astype(np.int32)
    lengths = lengths_of(np.bincount(symbols, minlength=19))
    data = in_session(huffman.encode, (np.int32, [5000]), (np.int32, [19]))(symbols, lengths)
    np.testing.assert_array_equal(data, encoded_slowly(symbols, lengths))
    read = in_session(lambda x, y: huffman.decode(x, y, 5000), (np.uint8, [None]), (np.int32, [19]))
    np.testing.assert_array_equal(read(data, lengths), symbols)


@pytest.mark.parametrize("lengths", [[0] * 19, [20] * 19, LENGTHS[19][3]])
def test_ends_on_a_stream_that_is_not_one(lengths):
    noise = np.random.default_rng(4).integers(0, 256, 900, dtype=np.uint8)
    with pytest.raises(tf.errors.OpError):
        decoder(19)(noise, np.array(lengths, np.int32), 20_000)
