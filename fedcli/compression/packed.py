"""Symbols in a fixed number of bits, as few as the alphabet's size allows."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import tensorflow as tf

from fedcli.compression.codec import Message
from fedcli.compression.coders.bits import pack, packed_size, unpack
from fedcli.compression.quantized import SymbolCoder

#: Words have at most this many values: the table of their digits stays small.
_LARGEST_WORD = 2**12


class Packed(SymbolCoder):
    """Writes the symbols of an alphabet one after another, or in groups where that saves bits.

    A group of symbols is the digits of one word: five of three values in 8 bits (1.6 bits a symbol instead of 2), three
    of five values in 7 bits.

    Args:
        alphabet: Symbols are 0 ... alphabet - 1.

    Attributes:
        group: Symbols in a word.
        bits: Bits of a word.
    """

    def __init__(self, alphabet: int) -> None:
        self._alphabet = max(alphabet, 2)
        self.group = _best_group(self._alphabet)
        self.bits = _bits(self._alphabet, self.group)

    def encode(self, symbols: tf.Tensor, parameters: Any) -> Message:
        """Packs int32 [size] to uint8 [ceil(words * bits / 8)], of ceil(size / group) words."""
        words = self._words(symbols.shape[0])
        if self.group > 1:
            digits = tf.reshape(tf.pad(symbols, [[0, words * self.group - symbols.shape[0]]]), [words, self.group])
            # By columns: a sum over rows of a few numbers takes several times as long.
            columns = tf.unstack(digits, axis=1)
            symbols = tf.add_n([digit * self._alphabet**place for place, digit in enumerate(columns)])
        return OrderedDict(packed=tf.ensure_shape(pack(symbols, self.bits), [packed_size(words, self.bits)]))

    def decode(self, message: Message, size: int) -> tf.Tensor:
        """Unpacks int32 [size]."""
        words = unpack(message["packed"], self.bits, self._words(size))
        return tf.reshape(tf.gather(self._digits(), words), [-1])[:size] if self.group > 1 else words

    def _words(self, size: int) -> int:
        return -(-size // self.group)

    def _digits(self) -> tf.Tensor:
        # Longer than a whole number of words, so that a damaged message reads as nonsense and not as an error.
        values = np.arange(2**self.bits)[:, np.newaxis]
        return tf.constant(values // self._alphabet ** np.arange(self.group) % self._alphabet, tf.int32)


def _best_group(alphabet: int) -> int:
    sizes = [size for size in range(1, 13) if alphabet**size <= _LARGEST_WORD] or [1]
    return min(sizes, key=lambda size: (_bits(alphabet, size) / size, size))


def _bits(alphabet: int, group: int) -> int:
    return (alphabet**group - 1).bit_length()
