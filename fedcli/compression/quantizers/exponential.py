"""Stochastic rounding to a bucket's norm, half of it, a quarter and so on: dense where most numbers are.

Ramezani-Kebrya et al. 2021, "NUQSGD: Provably Communication-efficient Data-parallel SGD via Nonuniform Quantization",
https://arxiv.org/abs/1908.06077.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from fedcli.compression.quantizers.bucketed import Bucketed

_MANTISSA_BITS = 23
_EXPONENT_BIAS = 127


class Exponential(Bucketed):
    """The magnitudes 0, 2^(1-s) ... 1/4, 1/2, 1 of the norm, s of them beside zero: unbiased.

    Between two powers of two, the squared error expected is at most an eighth of the squared number; below the
    smallest magnitude, at most the number times that magnitude.
    """

    def rounded(self, ratio: tf.Tensor, random: tf.Tensor) -> tf.Tensor:
        """Rounds to powers of two; see the base class."""
        # A float's mantissa says how far it is on the way to the next power of two, so a random mantissa added carries
        # into the exponent with just the probability that is wanted.
        addend = tf.cast(random * 2**_MANTISSA_BITS, tf.int32)
        exponent = tf.bitwise.right_shift(tf.bitcast(ratio, tf.int32) + addend, _MANTISSA_BITS) - _EXPONENT_BIAS
        smallest = 2.0 ** (1 - self._magnitudes)
        below = tf.floor(ratio / smallest + random)
        numbers = tf.where(ratio < smallest, below, tf.cast(exponent + self._magnitudes, tf.float32))
        return tf.minimum(numbers, self._magnitudes)

    def level(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns powers of two; see the base class."""
        positive = 2.0 ** np.arange(1 - self._magnitudes, 1)
        levels = np.concatenate([-positive[::-1], [0.0], positive])
        return tf.gather(tf.constant(levels, tf.float32), numbers + self._magnitudes)
