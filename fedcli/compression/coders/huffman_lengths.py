"""The lengths of an optimal prefix code with a limit, by the package-merge algorithm.

L. L. Larmore and D. S. Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990.
"""

from __future__ import annotations

import tensorflow as tf

from fedcli.compression.coders.traced_once import traced_once

#: Codes have at most so many bits; alphabets have at most 2**16 symbols, so that this costs next to nothing.
MAX_LENGTH = 20


@traced_once(tf.TensorSpec(None, tf.float64))
def code_lengths(histogram: tf.Tensor) -> tf.Tensor:
    """Returns the lengths of the codes that make symbols of these frequencies shortest.

    One is added to each count, so that symbols that were not seen have a code as well. The lengths are those of
    a Huffman code, unless that has codes of more than `MAX_LENGTH` bits: then of the best one that has not.

    Args:
        histogram: int or float [A], with A static: the count of each symbol. Negative counts and NaN are taken for 0.

    Returns:
        int32 [A], from 1 to `MAX_LENGTH`; [0] for an alphabet of one symbol.
    """
    size = histogram.shape[0]
    if size == 1:
        return tf.zeros([1], tf.int32)
    # Negative, since top_k puts the largest first; it keeps equal ones in their order.
    weights, order = tf.math.top_k(-1 - tf.where(histogram > 0, histogram, tf.zeros_like(histogram)), size)

    # A level's items are the symbols and, as packages, the pairs of the level before, from light to heavy.
    level = weights
    is_symbol = [tf.ones([size], tf.bool)]
    for _ in range(MAX_LENGTH - 1):
        pairs = level.shape[0] // 2
        packages = tf.reduce_sum(tf.reshape(level[: 2 * pairs], [pairs, 2]), axis=1)
        level, item = tf.math.top_k(tf.concat([weights, packages], axis=0), size + pairs)
        is_symbol.append(item < size)

    # Of the last level the lightest 2A - 2 items are taken, and with a package its two items. Each time that a symbol
    # is taken, its code gets a bit longer; at every level the lightest ones are.
    lengths = tf.zeros([size], tf.int32)
    taken = tf.constant(2 * size - 2)
    for symbol in reversed(is_symbol):
        symbols = tf.reduce_sum(tf.cast(symbol[:taken], tf.int32))
        lengths += tf.cast(tf.range(size) < symbols, tf.int32)
        taken = 2 * (taken - symbols)
    return tf.gather(lengths, tf.argsort(order))
