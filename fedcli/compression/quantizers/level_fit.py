"""The levels with the smallest squared error for a distribution: a normal one, or that of a histogram."""

from __future__ import annotations

import functools
from statistics import NormalDist

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# A histogram's bins grow with the numbers, four for each doubling of the magnitude: distributions of updates have a
# sharp peak and long tails.
_LEAST_EXPONENT = -9
_OCTAVES = 16
_PER_OCTAVE_BITS = 2
_MAGNITUDES = _OCTAVES * 2**_PER_OCTAVE_BITS
#: Bins of a histogram, half of them for negative numbers.
BINS = 2 * _MAGNITUDES

_MANTISSA_BITS = 23
_EXPONENT_BIAS = 127

_ITERATIONS = 200
_NORMAL_ITERATIONS = 500


def histogram(x: tf.Tensor) -> tf.Tensor:
    """Counts numbers in bins.

    Args:
        x: float32 [n]; magnitudes of more than 128 count as that.

    Returns:
        float32 [BINS], the share of the numbers in each bin, of ascending bins.
    """
    # The upper bits of a float are its exponent and the quarter of its octave.
    upper = tf.bitwise.right_shift(tf.bitcast(tf.abs(x), tf.int32), _MANTISSA_BITS - _PER_OCTAVE_BITS)
    lowest = (_EXPONENT_BIAS + _LEAST_EXPONENT) * 2**_PER_OCTAVE_BITS
    magnitude = tf.clip_by_value(upper - lowest, 0, _MAGNITUDES - 1)
    bins = _MAGNITUDES + tf.where(x < 0, -1 - magnitude, magnitude)
    counts = tf.ensure_shape(tf.math.bincount(bins, minlength=BINS, maxlength=BINS, dtype=tf.int32), [BINS])
    return tf.cast(counts / tf.size(x), tf.float32)


def bin_edges() -> NDArray[np.float64]:
    """Returns the edges of a histogram's bins, float64 [BINS + 1], ascending."""
    quarters = np.arange(_MAGNITUDES + 1)
    octave, part = np.divmod(quarters, 2**_PER_OCTAVE_BITS)
    positive = 2.0 ** (_LEAST_EXPONENT + octave) * (1 + part / 2**_PER_OCTAVE_BITS)
    positive[0] = 0
    return np.concatenate([-positive[:0:-1], positive])


def fitted_levels(counts: tf.Tensor, count: int) -> tf.Tensor:
    """Finds the levels for a distribution by Lloyd's method: borders halfway between levels, levels at the means.

    Args:
        counts: float32 [BINS], of which not all are zero; within a bin, numbers count as evenly distributed.
        count: How many levels.

    Returns:
        float64 [count], ascending.
    """
    edges = bin_edges()
    widths = np.diff(edges)
    counts = tf.cast(counts, tf.float64)
    counts = tf.math.divide_no_nan(counts, tf.reduce_sum(counts))
    density = counts / widths

    def up_to(mass: tf.Tensor) -> tf.Tensor:
        return tf.concat([tf.zeros([1], tf.float64), tf.cumsum(mass)], 0)

    # Many levels are best as dense as the cubic root of the distribution (Bennett 1948): where the method begins, since
    # it would take long to get there. The small addend makes the function invertible.
    spread = up_to(tf.pow(density, 1 / 3) * widths + 1e-9)
    wanted = (np.arange(count) + 0.5) / count * spread[-1]
    place = tf.clip_by_value(tf.searchsorted(spread, wanted, side="right") - 1, 0, BINS - 1)
    within = (wanted - tf.gather(spread, place)) / (tf.gather(spread, place + 1) - tf.gather(spread, place))
    first = tf.gather(edges, place) + within * tf.gather(widths, place)

    mass = up_to(counts)
    moment = up_to(counts * (edges[1:] + edges[:-1]) / 2)

    def improved(levels: tf.Tensor) -> tf.Tensor:
        borders = tf.concat([edges[:1], (levels[1:] + levels[:-1]) / 2, edges[-1:]], 0)
        place = tf.clip_by_value(tf.searchsorted(edges, borders, side="right") - 1, 0, BINS - 1)
        begin, dense = tf.gather(edges, place), tf.gather(density, place)
        masses = tf.gather(mass, place) + dense * (borders - begin)
        moments = tf.gather(moment, place) + dense * (tf.square(borders) - tf.square(begin)) / 2
        masses, moments = masses[1:] - masses[:-1], moments[1:] - moments[:-1]
        means = tf.clip_by_value(tf.math.divide_no_nan(moments, masses), borders[:-1], borders[1:])
        # What is next to nothing is rounding error.
        return tf.where(masses > 1e-12, means, levels)

    (levels,) = tf.while_loop(lambda _: True, lambda x: (improved(x),), (first,), maximum_iterations=_ITERATIONS)
    return levels


@functools.cache
def normal_levels(count: int) -> NDArray[np.float64]:
    """Computes the levels with the smallest squared error for the normal distribution of variance 1.

    Args:
        count: How many.

    Returns:
        float64 [count], ascending and symmetric.
    """
    normal = NormalDist()
    # As above, from the cubic root of the distribution: a normal distribution of three times the variance.
    levels = np.array([NormalDist(0, 3**0.5).inv_cdf((k + 0.5) / count) for k in range(count)])
    for _ in range(_NORMAL_ITERATIONS):
        borders = [-np.inf, *(levels[1:] + levels[:-1]) / 2, np.inf]
        density = np.array([normal.pdf(border) for border in borders])
        mass = np.array([normal.cdf(border) for border in borders])
        moved = (density[:-1] - density[1:]) / np.diff(mass)
        levels = (moved - moved[::-1]) / 2
    return levels
