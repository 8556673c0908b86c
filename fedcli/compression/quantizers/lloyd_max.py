"""Levels that fit the distribution of the numbers, from the histogram of the round before.

Lloyd 1982, "Least squares quantization in PCM", https://doi.org/10.1109/TIT.1982.1056489; Max 1960, "Quantizing for
minimum distortion", https://doi.org/10.1109/TIT.1960.1057548.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message, Observed
from fedcli.compression.quantized import Quantizer
from fedcli.compression.quantizers.level_fit import BINS, fitted_levels, histogram, normal_levels
from fedcli.compression.quantizers.step import root_mean_square


class LloydMax(Quantizer):
    """2^bits levels, relative to the root mean square of each client's numbers; deterministic.

    The server keeps the levels, and clients get them (32 bits each). A client gives each number to the nearest level
    and sends the mean of every level's numbers in its place (32 bits each): no other values make its error smaller.
    From the clients' histograms (16 bits a bin), the server finds the levels for the next round. The first ones are
    the best for a normal distribution.

    Args:
        size: Numbers in the vector.
        bits: Bits a symbol, 1 to 8.
    """

    def __init__(self, size: int, bits: int) -> None:
        super().__init__(size)
        self._count = self.alphabet = 2**bits

    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Returns the nearest levels' numbers; the header has the scale, the client's own levels and its histogram."""
        levels = parameters["levels"]
        scale = root_mean_square(x)
        relative = tf.math.divide_no_nan(x, scale)
        symbols = tf.searchsorted((levels[1:] + levels[:-1]) / 2, relative, side="right")
        counts = tf.math.bincount(symbols, minlength=self._count, maxlength=self._count, dtype=tf.float32)
        sums = tf.math.unsorted_segment_sum(relative, symbols, self._count)
        means = tf.where(counts > 0, tf.math.divide_no_nan(sums, counts), levels)
        shares = tf.cast(histogram(relative), tf.float16)
        return symbols, OrderedDict(scale=scale, levels=means, histogram=shares)

    def dequantize(self, symbols: tf.Tensor, header: Message) -> tf.Tensor:
        """Returns the client's levels."""
        return tf.gather(header["levels"] * header["scale"], symbols)

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """The levels for a normal distribution, float32 [2^bits]."""
        return OrderedDict(levels=tf.constant(normal_levels(self._count), tf.float32))

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """The levels."""
        return OrderedDict(levels=state["levels"])

    def observe(self, symbols: tf.Tensor, header: Message) -> Observed:
        """Takes the histogram; a vector of zeros has no distribution to learn."""
        counts = tf.where(header["scale"] > 0, tf.cast(header["histogram"], tf.float32), tf.zeros([BINS]))
        return OrderedDict(histogram=counts)

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """Fits the levels to this round's numbers, if there are any."""
        counts = observed["histogram"]
        fitted = tf.cast(fitted_levels(counts, self._count), tf.float32)
        return OrderedDict(levels=tf.where(tf.reduce_sum(counts) > 0, fitted, state["levels"]))
