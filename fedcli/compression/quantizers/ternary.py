"""Minus, zero or plus the largest magnitude, at random.

Wen et al. 2017, "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep Learning",
https://arxiv.org/abs/1705.07878.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message
from fedcli.compression.quantizers.qsgd import Qsgd


class Ternary(Qsgd):
    """One magnitude beside zero, the largest of the vector: unbiased but for the clipping.

    Args:
        size: Numbers in the vector.
        clip: Numbers are clipped to so many standard deviations first (the paper: 2.5), so that few large ones do not
            make all others zero; None for no clipping, which is unbiased.
    """

    def __init__(self, size: int, clip: float | None) -> None:
        super().__init__(size, magnitudes=1, bucket_size=size, norm="max")
        self._clip = clip

    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Returns 0, 1 or 2 for minus, zero and plus; the header has the scale (32 bits)."""
        if self._clip is not None:
            largest = tf.reduce_max(tf.abs(x))
            # Relative to the largest number, squares neither overflow nor vanish.
            bound = self._clip * tf.math.reduce_std(tf.math.divide_no_nan(x, largest))
            # Numbers that are all alike do not deviate, and need no clipping.
            bound = largest * tf.where(bound > _LEAST_DEVIATION, tf.minimum(bound, 1.0), 1.0)
            x = tf.clip_by_value(x, -bound, bound)
        return super().quantize(x, parameters, seed)


#: Relative to the largest number: below it, a standard deviation is rounding error.
_LEAST_DEVIATION = 1e-6
