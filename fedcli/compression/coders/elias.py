"""Elias-gamma coded runs and values: a code without a table for vectors that are mostly zero.

Elias gamma writes an integer x >= 1 as z = floor(log2 x) zeros, a one, and the z low bits of x. (P. Elias, "Universal
codeword sets and representations of the integers", 1975; for model updates: Mitchell et al., "Optimizing the
communication-accuracy trade-off in federated learning with rate-distortion theory", arXiv:2201.02664.)

Each nonzero value costs the gamma code of its distance from the one before, a sign bit and the gamma code of its
magnitude. The stream has the same bits as with one code after the other, but in two parts: first every code's zeros
and one, then every code's low bits and signs. All codes are then found at once, from the distances of the ones,
where codes in a row could only be followed one by one. One more one bit ends a stream that is not empty: the parts'
lengths, and with them the number of values, follow from the place of the last one.
"""

from __future__ import annotations

import tensorflow as tf

from fedcli.compression.coders.bits import code_offsets, read_codes, write_codes
from fedcli.compression.coders.traced_once import traced_once

_INTEGERS, _STREAM = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.uint8)
_COUNT = tf.TensorSpec([], tf.int32)


@traced_once(_INTEGERS)
def encode(x: tf.Tensor) -> tf.Tensor:
    """Writes a vector; the fewer and the smaller its nonzero values, the shorter.

    Args:
        x: int32 [n], any values.

    Returns:
        uint8 [?], empty where all are zero.
    """
    places = tf.where(tf.not_equal(x, 0))[:, 0]
    values = tf.cast(tf.gather(x, places), tf.int64)
    gaps, magnitudes = _gaps(places), tf.abs(values)
    gap_bits, magnitude_bits = _log2(gaps), _log2(magnitudes)

    marks = _power(magnitude_bits + 1) + 1
    signs = tf.cast(values < 0, tf.int64)
    low = tf.bitwise.left_shift(2 * _low(gaps, gap_bits) + signs, magnitude_bits) + _low(magnitudes, magnitude_bits)
    end = tf.minimum(tf.size(places, tf.int64), 1)[tf.newaxis]
    lengths = tf.concat([gap_bits + magnitude_bits + 2, gap_bits + magnitude_bits + 1, end], axis=0)
    return write_codes(tf.concat([marks, low, end], axis=0), tf.cast(lengths, tf.int32))


@traced_once(_STREAM, _COUNT)
def decode(data: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Reads what `encode` wrote; zero bytes after the stream do no harm.

    Args:
        data: uint8 [?].
        count: The length n of the vector.

    Returns:
        int32 [n].
    """
    ones = _ones(data)
    ends = ones[1::2] + 1
    nonzero = tf.range(1, tf.size(ends, tf.int64) + 1)
    # With k values the marks end at bit ends[k-1]; each of their zeros stands for a low bit, and there are k signs.
    lengths = 2 * ends - nonzero
    k = tf.reduce_sum(tf.cast(lengths <= tf.reduce_sum(ones[-1:]), tf.int64))

    bits = tf.reshape(_zeros_before(ones[: 2 * k]), [-1, 2])
    gap_bits, magnitude_bits = bits[:, 0], bits[:, 1]
    lengths = gap_bits + 1 + magnitude_bits
    low = read_codes(data, tf.reduce_sum(lengths + 1) + code_offsets(lengths)[0], lengths)
    magnitudes = _power(magnitude_bits) + _low(low, magnitude_bits)
    low = tf.bitwise.right_shift(low, magnitude_bits)
    values = tf.where(_low(low, tf.ones_like(low)) > 0, -magnitudes, magnitudes)
    places = tf.cumsum(_power(gap_bits) + tf.bitwise.right_shift(low, tf.ones_like(low))) - 1
    return tf.scatter_nd(places[:, tf.newaxis], tf.cast(values, tf.int32), tf.cast([count], tf.int64))


@traced_once(tf.TensorSpec([None], tf.int64))
def encode_gaps(indices: tf.Tensor) -> tf.Tensor:
    """Writes places alone, for values that are sent in another way.

    Args:
        indices: int32 or int64 [k], distinct, from 0, ascending.

    Returns:
        uint8 [?].
    """
    gaps = _gaps(indices)
    bits = _log2(gaps)
    values = tf.concat([tf.ones_like(gaps), _low(gaps, bits)], axis=0)
    return write_codes(values, tf.cast(tf.concat([bits + 1, bits], axis=0), tf.int32))


@traced_once(_STREAM, _COUNT)
def decode_gaps(data: tf.Tensor, k: int | tf.Tensor) -> tf.Tensor:
    """Reads what `encode_gaps` wrote.

    Args:
        data: uint8 [?].
        k: The number of places.

    Returns:
        int32 [k].
    """
    bits = _zeros_before(_ones(data)[:k])
    low = read_codes(data, tf.reduce_sum(bits + 1) + code_offsets(bits)[0], bits)
    return tf.reshape(tf.cast(tf.cumsum(_power(bits) + low) - 1, tf.int32), [k])


def _gaps(places: tf.Tensor) -> tf.Tensor:
    """Returns the distance of each place from the one before it, the first one's from -1."""
    return places - tf.concat([tf.constant([-1], tf.int64), places[:-1]], axis=0)


def _zeros_before(ones: tf.Tensor) -> tf.Tensor:
    return _gaps(ones) - 1


def _ones(data: tf.Tensor) -> tf.Tensor:
    """Returns the places of a stream's one bits, int64."""
    every_byte = tf.bitwise.right_shift(tf.range(256)[:, tf.newaxis], tf.range(7, -1, -1))
    bits = tf.gather(tf.equal(tf.bitwise.bitwise_and(every_byte, 1), 1), tf.cast(data, tf.int32))
    return tf.where(tf.reshape(bits, [-1]))[:, 0]


def _log2(x: tf.Tensor) -> tf.Tensor:
    """Returns floor(log2 x), exactly: the exponent of a float64 (x below 2**53)."""
    return tf.bitwise.right_shift(tf.bitcast(tf.cast(x, tf.float64), tf.int64), tf.constant(52, tf.int64)) - 1023


def _power(exponent: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.left_shift(tf.ones_like(exponent), exponent)


def _low(x: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Returns the low bits of a number."""
    return tf.bitwise.bitwise_and(x, _power(bits) - 1)
