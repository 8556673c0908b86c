"""Signs, and one magnitude for a block of numbers.

Vargaftik et al. 2021, "DRIVE: One-bit Distributed Mean Estimation", https://arxiv.org/abs/2105.08339 (after a random
rotation); without a rotation: Bernstein et al. 2018, "signSGD: Compressed Optimisation for Non-Convex Problems",
https://arxiv.org/abs/1802.04434, with the scale of Karimireddy et al. 2019, "Error Feedback Fixes SignSGD and other
Gradient Compression Schemes", https://arxiv.org/abs/1901.09847, but without their error feedback: a client forgets
what the signs lost.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message
from fedcli.compression.quantized import Quantizer


class OneBit(Quantizer):
    """One bit a number.

    Args:
        size: Numbers in the vector.
        scale: `minimal_error`: the mean magnitude, ||x||_1 / d, which makes the squared error of a vector smallest
            (1 - 2/pi of its squared norm after a rotation). `unbiased`: ||x||_2^2 / ||x||_1, with which the decoded
            vector's part along x is exactly x; what is left (pi/2 - 1 of the squared norm) has expectation zero if
            x is a vector after a uniformly random rotation, and cancels out over clients. The randomized Hadamard
            rotation is close to that in blocks of many numbers, and not in blocks of a few.
        block: Numbers that share a scale. For `unbiased` these must be those that were rotated together.
    """

    alphabet = 2

    def __init__(self, size: int, scale: str, block: int) -> None:
        super().__init__(size)
        if size % block:
            raise ValueError(f"{size} numbers are no blocks of {block}")
        self._scale = scale
        self._block = block

    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Returns 1 for negative numbers; the header has the scales (32 bits each)."""
        magnitudes = tf.abs(tf.reshape(x, [-1, self._block]))
        # Relative to the largest number, squares neither overflow nor vanish.
        largest = tf.reduce_max(magnitudes, 1)
        relative = tf.math.divide_no_nan(magnitudes, largest[:, tf.newaxis])
        mean = tf.reduce_mean(relative, 1)
        if self._scale == "unbiased":
            mean = tf.math.divide_no_nan(tf.reduce_mean(tf.square(relative), 1), mean)
        return tf.cast(x < 0, tf.int32), OrderedDict(scales=largest * mean)

    def dequantize(self, symbols: tf.Tensor, header: Message) -> tf.Tensor:
        """Returns plus or minus the scale."""
        signs = 1.0 - 2.0 * tf.cast(tf.reshape(symbols, [-1, self._block]), tf.float32)
        return tf.reshape(signs * header["scales"][:, tf.newaxis], [self.size])
