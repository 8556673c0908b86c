"""Robust rules from the updates of a round's clients to one update. See `collected.Rule`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from fedcli.aggregators.processes.collected import Rule


def coordinate_median(updates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Takes the median of each number: the mean of the two in the middle, where their count is even."""
    ordered = tf.sort(updates, 0)
    last = tf.shape(updates)[0] - 1
    return 0.5 * ordered[last // 2] + 0.5 * ordered[(last + 1) // 2]


def trimmed_mean(trim: float) -> Rule:
    """Makes the rule that takes the mean of each number without its largest and smallest.

    Args:
        trim: Share of the clients left out at either end, below 0.5; what it makes of them is rounded down.
    """

    def rule(updates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        count = tf.shape(updates)[0]
        # 0.29 * 100 is a little less than 29 in floating point, and must not become 28.
        left_out = tf.cast(tf.floor(trim * tf.cast(count, tf.float64) + 1e-9), tf.int32)
        return tf.reduce_mean(tf.sort(updates, 0)[left_out : count - left_out], 0)

    return rule


def geometric_median(iterations: int, smoothing: float) -> Rule:
    """Makes the rule that approximates the point with the smallest weighted sum of distances from the updates.

    By the smoothed Weiszfeld algorithm (Pillutla et al., algorithm 2): a weighted mean again and again, in which each
    update counts by its weight over its distance from the mean before.

    Args:
        iterations: Means that are taken; the first is the plain weighted one.
        smoothing: Distances below this count as this.
    """

    def rule(updates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        def mean(by: tf.Tensor) -> tf.Tensor:
            # Where an update is so large that all distances from the mean overflow, it begins again from zero.
            return tf.linalg.matvec(updates, tf.math.divide_no_nan(by, tf.reduce_sum(by)), transpose_a=True)

        shares = weights / tf.reduce_sum(weights)
        middle = mean(shares)
        for _ in range(iterations - 1):
            distances = tf.norm(updates - middle, axis=1)
            middle = mean(shares / tf.maximum(distances, smoothing))
        return middle

    return rule


def krum(byzantine: int | None, selected: int) -> Rule:
    """Makes the rule that takes the update that lies closest to its neighbours, or the mean of several such.

    The score of an update is the sum of the squared distances from its n - f - 2 closest neighbours, where f of n
    clients may be Byzantine.

    Args:
        byzantine: f; None for as many as the rule stands, the most with 2 f + 2 < n. Where there are too few clients
            for f, it is so too.
        selected: How many updates of the lowest scores are averaged, all where there are fewer.
    """

    def rule(updates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        count = tf.shape(updates)[0]
        most = tf.maximum((count - 3) // 2, 0)
        assumed = most if byzantine is None else tf.minimum(byzantine, most)
        # Of two clients, the neighbour is the other one, and one alone has none but itself.
        neighbours = tf.minimum(tf.maximum(count - assumed - 2, 1), count - 1)
        # From scalar products, in the memory of the updates: the differences of all pairs would take n times as much.
        products = tf.matmul(updates, updates, transpose_b=True)
        norms = tf.linalg.diag_part(products)
        distances = tf.maximum(norms[:, tf.newaxis] + norms - 2.0 * products, 0.0)
        # What overflows is far away.
        distances = tf.where(tf.math.is_nan(distances), np.float32(np.inf), distances)
        # An update is no neighbour of its own: it comes first, and is left out.
        distances = tf.linalg.set_diag(distances, tf.fill([count], -1.0))
        scores = tf.reduce_sum(tf.sort(distances, 1)[:, 1 : neighbours + 1], 1)
        best = tf.argsort(scores, stable=True)[: tf.minimum(selected, count)]
        return tf.reduce_mean(tf.gather(updates, best), 0)

    return rule
