"""Uniform quantization with a step, around zero: most numbers become zero where the step is large.

With an entropy code behind it, this is within a quarter of a bit of the best that any quantizer can do at high rates,
and close to it at low ones: Gish and Pierce 1968, "Asymptotically Efficient Quantizing",
https://doi.org/10.1109/TIT.1968.1054193; in federated learning: Mitchell et al. 2022, "Optimizing the
Communication-Accuracy Trade-off in Federated Learning with Rate-Distortion Theory", https://arxiv.org/abs/2201.02664.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message, uniform
from fedcli.compression.quantized import Quantizer


class Step(Quantizer):
    """Multiples of a step that each client sets in proportion to its own numbers.

    Args:
        size: Numbers in the vector.
        step: The step, in units of the vector's root mean square.
        rounding: See `quantize`.
    """

    def __init__(self, size: int, step: float, rounding: str) -> None:
        super().__init__(size)
        self._step = step
        self._rounding = rounding

    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Returns multiples of the step, and the number that one of them stands for (32 bits)."""
        symbols, scale = quantize(x, self._step * root_mean_square(x), self._rounding, seed)
        return symbols, OrderedDict(scale=scale)

    def dequantize(self, symbols: tf.Tensor, header: Message) -> tf.Tensor:
        """Multiplies."""
        return tf.cast(symbols, tf.float32) * header["scale"]


def quantize(x: tf.Tensor, step: tf.Tensor, rounding: str, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Divides by the step and rounds.

    Args:
        x: float32 [size].
        step: float32 scalar; 0 gives zeros.
        rounding: `deterministic`: to the nearest multiple. `stochastic`: to one of the two multiples around, with the
            probability that makes the expectation exact.
        seed: int32 [2], for stochastic rounding.

    Returns:
        The multiples, int32 [size], and what one stands for, float32: the step, or, with deterministic rounding, the
        number that makes the squared error smallest (within a multiple's range, most numbers lie nearer to zero).
    """
    position = tf.math.divide_no_nan(x, step)
    if rounding == "stochastic":
        symbols = tf.floor(position + uniform(tf.shape(x), seed))
        return _integers(symbols), step
    symbols = tf.round(position)
    norm = tf.reduce_sum(tf.square(symbols))
    return _integers(symbols), tf.math.divide_no_nan(tf.reduce_sum(symbols * x), norm)


def root_mean_square(x: tf.Tensor) -> tf.Tensor:
    """Returns the root of the mean square."""
    largest = tf.reduce_max(tf.abs(x))
    # Relative to the largest number, squares neither overflow nor vanish.
    return largest * tf.sqrt(tf.reduce_mean(tf.square(tf.math.divide_no_nan(x, largest))))


def _integers(symbols: tf.Tensor) -> tf.Tensor:
    # 2^30 is what the run-length code takes; float32 has no exact integers far below that anyway.
    return tf.cast(tf.clip_by_value(symbols, -(2.0**30), 2.0**30), tf.int32)
