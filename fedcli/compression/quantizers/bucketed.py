"""What quantizers have in common that round each bucket of numbers at random, relative to the bucket's norm."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message, uniform
from fedcli.compression.quantized import Quantizer


class Bucketed(Quantizer):
    """A sign and one of some magnitudes, from zero to the norm of the numbers in the bucket.

    Args:
        size: Numbers in the vector.
        magnitudes: How many magnitudes there are beside zero.
        bucket_size: Numbers that share a norm; the last bucket may have fewer.
        norm: `l2`, or `max`, the largest magnitude, which makes the error smaller and zeros rarer.
    """

    def __init__(self, size: int, magnitudes: int, bucket_size: int, norm: str) -> None:
        super().__init__(size)
        self.alphabet = 2 * magnitudes + 1
        self.zero = magnitudes
        self._magnitudes = magnitudes
        self._bucket_size = min(bucket_size, size)
        self._norm = norm

    @abstractmethod
    def rounded(self, ratio: tf.Tensor, random: tf.Tensor) -> tf.Tensor:
        """Rounds magnitudes to one of the two levels around, with the probability that makes the expectation exact.

        Args:
            ratio: float32 of any shape, in [0, 1].
            random: float32 of the same shape, evenly distributed over [0, 1).

        Returns:
            Numbers of levels, 0 ... magnitudes, as floats.
        """

    @abstractmethod
    def level(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns the levels of numbers from -magnitudes to magnitudes, int32, as float32 in [-1, 1]."""

    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Returns the signed numbers of levels, shifted by `zero`; the header has the norms (32 bits each)."""
        rows = self._rows(x)
        magnitudes = tf.abs(rows)
        norms = self._norms(magnitudes)
        ratio = tf.minimum(tf.math.divide_no_nan(magnitudes, norms[:, tf.newaxis]), 1.0)
        numbers = tf.sign(rows) * self.rounded(ratio, uniform(tf.shape(rows), seed))
        symbols = tf.cast(numbers, tf.int32) + self.zero
        return tf.reshape(symbols, [-1])[: self.size], OrderedDict(norms=norms)

    def dequantize(self, symbols: tf.Tensor, header: Message) -> tf.Tensor:
        """Multiplies levels by norms."""
        rows = self._rows(symbols - self.zero)
        return tf.reshape(self.level(rows) * header["norms"][:, tf.newaxis], [-1])[: self.size]

    def _rows(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.pad(x, [[0, -self.size % self._bucket_size]]), [-1, self._bucket_size])

    def _norms(self, magnitudes: tf.Tensor) -> tf.Tensor:
        largest = tf.reduce_max(magnitudes, 1)
        if self._norm == "max":
            return largest
        # Relative to the largest number, squares neither overflow nor vanish. A norm that float32 cannot hold may be
        # too small as long as no number is larger.
        relative = tf.math.divide_no_nan(magnitudes, largest[:, tf.newaxis])
        norms = largest * tf.sqrt(tf.reduce_sum(tf.square(relative), 1))
        return tf.maximum(tf.minimum(norms, tf.float32.max), largest)
