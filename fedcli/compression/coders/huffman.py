"""Canonical Huffman codes, whose lengths both sides derive from a histogram that both know.

D. A. Huffman, "A method for the construction of minimum-redundancy codes", 1952; the canonical form, in which the
codes follow from their lengths alone, is that of RFC 1951, section 3.2.2. Codes are at most `MAX_LENGTH` bits long.

A stream is a header and the codes of all symbols, one after the other. So that a reader can follow many codes at
once, the header says how many bits each block of `BLOCK` symbols takes, but for the last one, whose end is not
needed; a stream of one block has no header. The header costs about 10 bits a block.
"""

from __future__ import annotations

import tensorflow as tf

from fedcli.compression.coders.bits import code_offsets, read_codes, write_codes
from fedcli.compression.coders.huffman_lengths import MAX_LENGTH, code_lengths
from fedcli.compression.coders.traced_once import traced_once

__all__ = ["BLOCK", "MAX_LENGTH", "code_lengths", "decode", "encode"]

#: Symbols of a block. More would make the header shorter and reading slower, which takes a step for a few symbols.
BLOCK = 1152

# The header: the bits of the shortest block, the width of the rest, and what each block has beyond the shortest one.
_SHORTEST_BITS, _WIDTH_BITS = 15, 4
# So many codes fit in 64 bits, and are joined before they are written.
_JOINED = 64 // MAX_LENGTH
# A table gives all the whole codes in the next bits of the stream; one of this many bits is small enough for the cache.
_TABLE_BITS = 14
# A code's length has its place below the code or the symbol in one number.
_LENGTH_BITS = 5
# The lengths of a code; their number is static, and another one is traced anew.
_LENGTHS = tf.TensorSpec(None, tf.int32)


@traced_once(tf.TensorSpec([None], tf.int32), _LENGTHS)
def encode(symbols: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Writes symbols.

    Args:
        symbols: int32 [n], in [0, A).
        lengths: int32 [A], with A static: the lengths of the codes, from `code_lengths`.

    Returns:
        uint8 [?], empty where the alphabet has only one symbol.
    """
    if lengths.shape[0] == 1:
        return tf.zeros([0], tf.uint8)
    order, starts, ordered = _canonical(lengths, MAX_LENGTH)
    codes = tf.bitwise.right_shift(starts, MAX_LENGTH - ordered)
    table = tf.gather(_joined(codes, ordered), tf.argsort(order))
    codes = tf.gather(table, symbols)
    codes = tf.reshape(tf.pad(codes, [[0, -tf.size(codes) % _JOINED]]), [-1, _JOINED])
    # The padding has no length.
    value, length = _split(codes[:, 0])
    value = tf.cast(value, tf.int64)
    for place in range(1, _JOINED):
        next_value, next_length = _split(codes[:, place])
        value = tf.bitwise.left_shift(value, tf.cast(next_length, tf.int64)) + tf.cast(next_value, tf.int64)
        length += next_length
    header, header_lengths = _header(length)
    return write_codes(tf.concat([header, value], axis=0), tf.concat([header_lengths, length], axis=0))


@traced_once(tf.TensorSpec([None], tf.uint8), _LENGTHS, tf.TensorSpec([], tf.int32))
def decode(data: tf.Tensor, lengths: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Reads what `encode` wrote.

    Args:
        data: uint8 [?], of less than 2**31 bits.
        lengths: As given to `encode`.
        count: The number of symbols.

    Returns:
        int32 [count].
    """
    if lengths.shape[0] == 1:
        return tf.zeros([count], tf.int32)
    depth = tf.maximum(tf.reduce_max(lengths), _TABLE_BITS)
    table = _Table(lengths, depth)
    starts, ends = _blocks(data, count)
    entries = _entries(data, starts, ends, table, depth)

    # A block's last entry may reach into the next block.
    held = tf.gather(table.counts, entries)
    before = tf.reshape(code_offsets(tf.reshape(held, [-1]))[0], tf.shape(held))
    before = tf.cast(before - before[:, :1], tf.int32)
    of_block = tf.clip_by_value(count - BLOCK * tf.range(tf.size(starts)), 0, BLOCK)
    kept = tf.clip_by_value(of_block[:, tf.newaxis] - before, 0, held)
    surplus = tf.cast(table.symbol_bits * (held - kept), tf.int64)
    symbols = tf.bitwise.right_shift(tf.gather(table.symbols, entries), surplus)
    written = write_codes(tf.reshape(symbols, [-1]), tf.reshape(table.symbol_bits * kept, [-1]))
    by_symbol = tf.reshape(tf.cast(written, tf.int32), [count, table.symbol_bits // 8])
    return by_symbol[:, 0] if table.symbol_bits == 8 else 256 * by_symbol[:, 0] + by_symbol[:, 1]


def _canonical(lengths: tf.Tensor, depth: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the symbols in the order of their codes, and in it the codes, as fractions of 2**depth, and lengths."""
    order = tf.argsort(lengths, stable=True)
    ordered = tf.gather(lengths, order)
    starts = tf.cumsum(tf.bitwise.left_shift(tf.ones_like(ordered), depth - ordered), exclusive=True)
    return order, starts, ordered


def _joined(values: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.left_shift(values, _LENGTH_BITS) + lengths


def _split(joined: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.bitwise.right_shift(joined, _LENGTH_BITS), tf.bitwise.bitwise_and(joined, 2**_LENGTH_BITS - 1)


def _header(lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the header's codes, int64 [?], and their lengths; `lengths` are those of the joined codes."""
    row = BLOCK // _JOINED
    blocks = tf.reduce_sum(tf.reshape(tf.pad(lengths, [[0, -tf.size(lengths) % row]]), [-1, row]), axis=1)[:-1]
    present = tf.minimum(tf.size(blocks), 1)
    shortest = present * tf.reduce_min(blocks)
    rest = blocks - shortest
    powers = tf.bitwise.left_shift(1, tf.range(2**_WIDTH_BITS - 1))
    width = present * tf.reduce_sum(tf.cast(tf.reduce_max(rest) >= powers, tf.int32))
    codes = tf.concat([[shortest, width], rest], axis=0)
    widths = tf.concat([[_SHORTEST_BITS * present, _WIDTH_BITS * present], tf.fill(tf.shape(rest), width)], axis=0)
    return tf.cast(codes, tf.int64), widths


def _blocks(data: tf.Tensor, count: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first bit of every block, and the bit after its last one, int32 [blocks]; one block at least.

    The last block's end is not known, only that of the stream. It is given as one bit later, so that no block is empty.
    """
    others = tf.maximum((count + BLOCK - 1) // BLOCK - 1, 0)
    present = tf.minimum(others, 1)
    begin = tf.cast(present * [0, _SHORTEST_BITS, _SHORTEST_BITS + _WIDTH_BITS], tf.int64)
    shortest, width = tf.unstack(read_codes(data, begin[:2], begin[1:] - begin[:2]))
    places = begin[2] + width * tf.range(tf.cast(others, tf.int64))
    sizes = shortest + read_codes(data, places, tf.fill(tf.shape(places), width))
    first = begin[2:] + width * tf.cast(others, tf.int64)
    starts = tf.cumsum(tf.concat([first, sizes], axis=0))
    ends = tf.concat([starts[1:], 8 * tf.size(data, tf.int64)[tf.newaxis] + 1], axis=0)
    return tf.cast(starts, tf.int32), tf.cast(ends, tf.int32)


class _Table:
    """What the next bits of a stream hold, as entries of a table.

    The first entries are for each value of _TABLE_BITS bits: as many whole codes as it holds. Where not even one fits,
    which in the canonical order are the highest values, there is an entry for each value of `depth` bits instead, with
    one code.

    Attributes:
        symbol_bits: The bits of one symbol in `symbols`.
        symbols: int64 [entries], each entry's symbols, the last one in the lowest bits.
        counts: int32 [entries], the number of symbols.
        bits: int32 [entries], the bits of all their codes.
        longer: int32 [], the lowest value of `depth` bits that begins with a code of more than _TABLE_BITS bits.
    """

    def __init__(self, lengths: tf.Tensor, depth: tf.Tensor) -> None:
        self.symbol_bits = 8 if lengths.shape[0] <= 2**8 else 16
        order, starts, ordered = _canonical(lengths, depth)
        codes = _joined(order, ordered)
        below = depth - _TABLE_BITS
        is_short = ordered <= _TABLE_BITS
        self.longer = tf.reduce_sum(
            tf.where(is_short, tf.bitwise.left_shift(tf.ones_like(ordered), depth - ordered), 0)
        )

        every_value = tf.range(2**_TABLE_BITS)
        short_values = tf.bitwise.right_shift(self.longer, below)
        first = tf.gather(codes, _code_of(tf.bitwise.left_shift(every_value, below), starts))
        long_values = tf.range(self.longer, tf.bitwise.left_shift(1, depth))
        long_symbols, long_bits = _split(tf.gather(codes, _code_of(long_values, starts)))

        bits = counts = tf.zeros_like(every_value)
        symbols, rest = tf.cast(counts, tf.int64), every_value
        for _ in range(63 // self.symbol_bits):
            symbol, length = _split(tf.gather(first, rest))
            fits = bits + length <= _TABLE_BITS
            longer = tf.bitwise.left_shift(symbols, tf.constant(self.symbol_bits, tf.int64)) + tf.cast(symbol, tf.int64)
            symbols = tf.where(fits, longer, symbols)
            counts += tf.cast(fits, tf.int32)
            bits += tf.where(fits, length, 0)
            rest = tf.bitwise.bitwise_and(tf.bitwise.left_shift(every_value, bits), 2**_TABLE_BITS - 1)
        self.symbols = tf.concat([symbols[:short_values], tf.cast(long_symbols, tf.int64)], axis=0)
        self.counts = tf.concat([counts[:short_values], tf.ones_like(long_bits)], axis=0)
        self.bits = tf.concat([bits[:short_values], long_bits], axis=0)


def _code_of(values: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
    """Returns the place of the code with which each value begins."""
    return tf.searchsorted(starts, values, side="right") - 1


def _entries(data: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, table: _Table, depth: tf.Tensor) -> tf.Tensor:
    """Follows the codes of all blocks at once; returns the table's entries that were met, int32 [blocks, steps]."""
    bytes_ = tf.cast(tf.pad(data, [[0, 4]]), tf.int32)
    size = tf.size(data) + 1
    words = sum(tf.bitwise.left_shift(bytes_[i : i + size], 24 - 8 * i) for i in range(4))
    mask = tf.bitwise.left_shift(1, depth) - 1
    below = depth - _TABLE_BITS
    skipped = table.longer - tf.bitwise.right_shift(table.longer, below)

    def step(i: tf.Tensor, places: tf.Tensor, met: tf.TensorArray) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
        word = tf.gather(words, tf.bitwise.right_shift(places, 3))
        value = tf.bitwise.right_shift(word, 32 - depth - tf.bitwise.bitwise_and(places, 7))
        value = tf.bitwise.bitwise_and(value, mask)
        # The two are equal at the lowest value of the long codes, and from there on the second one grows faster.
        entry = tf.maximum(tf.bitwise.right_shift(value, below), value - skipped)
        return i + 1, tf.minimum(places + tf.gather(table.bits, entry), ends), met.write(i, entry)

    # A step reads a symbol at least, so only a damaged stream or code could go on for longer.
    met = tf.while_loop(
        lambda i, places, _: tf.logical_and(i < BLOCK, tf.reduce_any(places < ends)),
        step,
        (0, starts, tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=starts.shape)),
        parallel_iterations=1,
    )[2]
    return tf.transpose(met.stack())
