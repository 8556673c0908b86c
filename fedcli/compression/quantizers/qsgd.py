"""Stochastic rounding to evenly spaced fractions of a bucket's norm.

Alistarh et al. 2017, "QSGD: Communication-Efficient SGD via Gradient Quantization and Encoding",
https://arxiv.org/abs/1610.02132.
"""

from __future__ import annotations

import tensorflow as tf

from fedcli.compression.quantizers.bucketed import Bucketed


class Qsgd(Bucketed):
    """The magnitudes 0, 1/s, 2/s ... 1 of the norm: unbiased.

    With the L2 norm, the expected squared error of a bucket of d numbers is at most min(d / s^2, sqrt(d) / s) times
    its squared norm (the paper's lemma 3.1).
    """

    def rounded(self, ratio: tf.Tensor, random: tf.Tensor) -> tf.Tensor:
        """Rounds to evenly spaced levels; see the base class."""
        return tf.minimum(tf.floor(ratio * self._magnitudes + random), self._magnitudes)

    def level(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns evenly spaced levels; see the base class."""
        return tf.cast(numbers, tf.float32) / self._magnitudes
