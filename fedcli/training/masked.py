"""Loss and hits of a batch, padding left out."""

from __future__ import annotations

import tensorflow as tf

from fedcli.datasets.base import PADDING


def masked_sums(y: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sums cross-entropy and hits over the targets that are not padding.

    Args:
        y: int32 targets, [...], `PADDING` where there is none.
        logits: float32, [..., num_classes].

    Returns:
        Three float32 scalars: summed cross-entropy in nats, number of right predictions, number of targets.
    """
    mask = tf.not_equal(y, PADDING)
    weights = tf.cast(mask, tf.float32)
    # A label of 0 stands in for padding, since the op refuses a negative label; its weight is 0.
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.where(mask, y, 0), logits=logits)
    hits = tf.cast(tf.equal(y, tf.argmax(logits, axis=-1, output_type=tf.int32)), tf.float32)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(hits * weights), tf.reduce_sum(weights)
