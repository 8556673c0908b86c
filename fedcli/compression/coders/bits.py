"""Bit streams: values of a fixed number of bits, and codes of different lengths.

Codes are written most significant bit first, the first one in the top bits of the first byte. The work is done on
whole 64-bit words: a code of up to 64 bits touches two of them at most, so a stream is two sums of shifted codes.
"""

from __future__ import annotations

import tensorflow as tf

#: The widest values that `pack` takes.
MAX_BITS = 16

# Lengths of codes are summed in rows of this many by a matrix product, which is several times faster than tf.cumsum.
_ROW = 16


def pack(values: tf.Tensor, bits: int) -> tf.Tensor:
    """Writes values of a fixed number of bits.

    Above 8 bits, the low bytes of all values come first, then the rest of each value's bits; otherwise values follow
    each other, most significant bit first.

    Args:
        values: int32 [n], in [0, 2**bits).
        bits: From 1 to 16.

    Returns:
        uint8 [ceil(n * bits / 8)].

    Raises:
        ValueError: If `bits` is out of range.
    """
    _check(bits)
    if bits == 8:
        return tf.cast(values, tf.uint8)
    if bits > 8:
        low = tf.cast(tf.bitwise.bitwise_and(values, 255), tf.uint8)
        return tf.concat([low, pack(tf.bitwise.right_shift(values, 8), bits - 8)], axis=0)
    count = values.shape[0]
    size = packed_size(tf.size(values) if count is None else count, bits)
    values = _padded(values, 8)
    if 8 % bits == 0:
        data = tf.cast(_joined(values, bits, 8 // bits), tf.uint8)
    else:
        # Eight values fill `bits` bytes exactly: the low ones of a 64-bit word.
        words = _joined(tf.cast(_joined(values, bits, 4), tf.int64), 4 * bits, 2)
        data = tf.reshape(tf.reverse(tf.bitcast(words, tf.uint8)[:, :bits], axis=[1]), [-1])
    return tf.reshape(data[:size], [size])


def unpack(data: tf.Tensor, bits: int, count: int | tf.Tensor) -> tf.Tensor:
    """Reads what `pack` wrote.

    Args:
        data: uint8 [at least ceil(count * bits / 8)].
        bits: As given to `pack`.
        count: The number of values.

    Returns:
        int32 [count].

    Raises:
        ValueError: If `bits` is out of range.
    """
    _check(bits)
    if bits == 8:
        return tf.reshape(tf.cast(data[:count], tf.int32), [count])
    if bits > 8:
        high = tf.bitwise.left_shift(unpack(data[count:], bits - 8, count), 8)
        return tf.bitwise.bitwise_or(high, tf.cast(data[:count], tf.int32))
    data = data[: packed_size(count, bits)]
    if 8 % bits == 0:
        # Rows of a table are copied whole, which is faster than to shift each value into its place.
        shifts = tf.range(8 - bits, -1, -bits)
        every_byte = tf.bitwise.right_shift(tf.range(256)[:, tf.newaxis], shifts)
        values = tf.gather(tf.bitwise.bitwise_and(every_byte, 2**bits - 1), tf.cast(data, tf.int32))
    else:
        groups = tf.reverse(tf.reshape(_padded(data, bits), [-1, bits]), axis=[1])
        words = tf.bitcast(tf.pad(groups, [[0, 0], [0, 8 - bits]]), tf.int64)
        mask = tf.constant(2 ** (4 * bits) - 1, tf.int64)
        halves = tf.stack([tf.bitwise.right_shift(words, 4 * bits), tf.bitwise.bitwise_and(words, mask)], axis=1)
        fours = tf.cast(halves, tf.int32)[:, :, tf.newaxis]
        values = tf.bitwise.bitwise_and(tf.bitwise.right_shift(fours, tf.range(3 * bits, -1, -bits)), 2**bits - 1)
    return tf.reshape(tf.reshape(values, [-1])[:count], [count])


def packed_size(count: int | tf.Tensor, bits: int) -> int | tf.Tensor:
    """Returns the number of bytes of `count` values of `bits` bits."""
    return (count * bits + 7) // 8


def write_codes(values: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Writes codes of different lengths one after the other, most significant bit first.

    Args:
        values: int64 or uint64 [n], each in [0, 2**length).
        lengths: int32 [n], from 0 to 64 bits; a code of length 0 writes nothing.

    Returns:
        uint8 [ceil(sum(lengths) / 8)]; the bits after the last code are zero.
    """
    offsets, total = code_offsets(lengths)
    # An empty code is zero: it may be shifted by 63 bits as well as by 64, which is not defined.
    unused = _unsigned(64 - tf.cast(tf.maximum(lengths, 1), tf.int64))
    left = tf.bitwise.left_shift(_unsigned(values), unused)
    first_bit = tf.bitwise.bitwise_and(offsets, 63)
    head = tf.bitwise.right_shift(left, _unsigned(first_bit))
    doubled = tf.bitwise.left_shift(left, tf.constant(1, tf.uint64))
    tail = tf.bitwise.left_shift(doubled, _unsigned(63 - first_bit))
    # The codes of a word have no bit in common, so that their sum joins them.
    word = tf.bitwise.right_shift(offsets, 6)
    size = (total + 63) // 64
    heads = _fitted(tf.math.segment_sum(head, word), size)
    tails = _fitted(tf.math.segment_sum(tail, word + 1), size)
    data = tf.reverse(tf.bitcast(heads + tails, tf.uint8), axis=[1])
    return tf.reshape(data, [-1])[: (total + 7) // 8]


def read_codes(data: tf.Tensor, offsets: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Reads codes whose places are known.

    Args:
        data: uint8 [?].
        offsets: int64 [n], the first bit of each code.
        lengths: int32 or int64 [n], from 0 to 63 bits.

    Returns:
        int64 [n].
    """
    bytes_ = tf.concat([_padded(data, 8), tf.zeros([16], tf.uint8)], axis=0)
    words = tf.bitcast(tf.reverse(tf.reshape(bytes_, [-1, 8]), axis=[1]), tf.uint64)
    word = tf.bitwise.right_shift(offsets, 6)
    first_bit = tf.bitwise.bitwise_and(offsets, 63)
    # A shift by all 64 bits is not defined, so what may need one is done in two steps, here and below.
    head = tf.bitwise.left_shift(tf.gather(words, word), _unsigned(first_bit))
    tail = tf.bitwise.right_shift(_halved(tf.gather(words, word + 1)), _unsigned(63 - first_bit))
    left = tf.bitwise.bitwise_or(head, tail)
    return tf.bitcast(tf.bitwise.right_shift(_halved(left), _unsigned(63 - tf.cast(lengths, tf.int64))), tf.int64)


def code_offsets(lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where codes of these lengths (int32 [n], at most 2**16 each) begin, int64 [n], and their sum, int64."""
    rows = tf.cast(tf.reshape(_padded(lengths, _ROW), [-1, _ROW]), tf.float32)
    # Sums of a row are small integers, which floats represent exactly.
    ends = tf.matmul(rows, tf.linalg.band_part(tf.ones([_ROW, _ROW]), 0, -1))
    of_row = tf.cast(ends[:, -1], tf.int64)
    row_starts = tf.cumsum(of_row, exclusive=True)
    offsets = tf.cast(ends - rows, tf.int64) + row_starts[:, tf.newaxis]
    return tf.reshape(offsets, [-1])[: tf.size(lengths)], tf.reduce_sum(of_row)


def _check(bits: int) -> None:
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"values have from 1 to {MAX_BITS} bits, not {bits}")


def _padded(values: tf.Tensor, multiple: int) -> tf.Tensor:
    """Appends zeros up to a multiple of a size."""
    return tf.pad(values, [[0, -tf.size(values) % multiple]])


def _joined(values: tf.Tensor, bits: int, count: int) -> tf.Tensor:
    """Joins each `count` (a power of two) neighbours of some bits to one value, the first one in the top bits."""
    while count > 1:
        pairs = tf.reshape(values, [-1, 2])
        values = tf.bitwise.bitwise_or(tf.bitwise.left_shift(pairs[:, 0], tf.constant(bits, values.dtype)), pairs[:, 1])
        bits, count = 2 * bits, count // 2
    return values


def _fitted(words: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Cuts or fills with zeros up to a number of words: codes may end before, or spill nothing into, the last ones."""
    words = words[:size]
    return tf.pad(words, [[0, size - tf.size(words, tf.int64)]])


def _unsigned(values: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(values, tf.uint64)


def _halved(words: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(words, tf.constant(1, tf.uint64))
