"""Uniform quantization between the smallest and the largest number.

Suresh et al. 2017, "Distributed Mean Estimation with Limited Communication",
http://proceedings.mlr.press/v70/suresh17a/suresh17a.pdf (stochastic k-level quantization); dither: Schuchman 1964,
"Dither Signals and Their Effect on Quantization Noise", https://doi.org/10.1109/TCOM.1964.1088973.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message, uniform
from fedcli.compression.quantized import Quantizer


class Uniform(Quantizer):
    """2^bits levels at equal distances over the range of the numbers.

    Args:
        size: Numbers in the vector.
        bits: Bits a symbol, 1 to 16.
        rounding: `deterministic`: to the nearest level. `stochastic`: to one of the two levels around, with the
            probability that makes the expectation exact. `dithered`: a random offset is added before rounding to the
            nearest level and subtracted by the decoder, which draws it from the same seed; the error is then
            independent of the number, and smaller than that of stochastic rounding; the ends of the range are one
            level further out.
        channels: Ranges: 1 for all numbers, else the numbers are rows of so many and each column has its range.
    """

    def __init__(self, size: int, bits: int, rounding: str, channels: int = 1) -> None:
        super().__init__(size)
        if size % channels:
            raise ValueError(f"{size} numbers are no rows of {channels}")
        self._levels = self.alphabet = 2**bits
        self._rounding = rounding
        self._channels = channels

    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Returns level numbers; the header has the ranges (64 bits each) and, for dither, the seed (64 bits)."""
        x = tf.reshape(x, [-1, self._channels])
        header = OrderedDict(low=tf.reduce_min(x, 0), high=tf.reduce_max(x, 0))
        step = self._step(header)
        position = tf.math.divide_no_nan(x - header["low"], step)
        if self._rounding == "stochastic":
            position = tf.floor(position + uniform(tf.shape(x), seed))
        elif self._rounding == "dithered":
            header["seed"] = seed
            position = tf.round(position + 0.5 + self._dither(seed))
        else:
            position = tf.round(position)
        symbols = tf.clip_by_value(tf.cast(position, tf.int32), 0, self._levels - 1)
        return tf.reshape(symbols, [self.size]), header

    def dequantize(self, symbols: tf.Tensor, header: Message) -> tf.Tensor:
        """Returns the numbers of the levels."""
        position = tf.cast(tf.reshape(symbols, [-1, self._channels]), tf.float32)
        if self._rounding == "dithered":
            position -= 0.5 + self._dither(header["seed"])
        return tf.reshape(header["low"] + position * self._step(header), [self.size])

    def _step(self, header: Message) -> tf.Tensor:
        # Dither moves a number by up to half a level, so it needs half a level more at each end.
        spaces = self._levels - 1 - (self._rounding == "dithered")
        return (header["high"] - header["low"]) / max(spaces, 1)

    def _dither(self, seed: tf.Tensor) -> tf.Tensor:
        return uniform([self.size // self._channels, self._channels], seed) - 0.5
