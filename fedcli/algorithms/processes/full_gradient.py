"""The gradient of a client's mean loss over all its targets, whatever batches they come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.learning import loop_builder

from fedcli.algorithms.processes.local_steps import Steps, Tensors
from fedcli.datasets.base import PADDING


def full_gradient(
    model: tff.learning.models.VariableModel, variables: Sequence[tf.Variable], batches: tf.data.Dataset
) -> tuple[Tensors, Steps]:
    """Computes the gradient at the model's weights. To be called in a `tf.function`.

    A batch counts by its targets that are not padding: its loss is their mean. So the gradient does not depend on the
    batch size, except by rounding.

    Args:
        model: Built in the function's graph.
        variables: Those of the model to differentiate by.
        batches: The client's batches.

    Returns:
        The gradient by each variable, zero without targets; and what it was computed from, a batch being a step.
    """
    variables = tuple(variables)

    def add(state: Any, batch: Any) -> Any:
        gradients, num_targets, num_examples, num_batches = state
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch, training=True)
        more = tape.gradient(output.loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        targets = tf.math.count_nonzero(tf.not_equal(batch[1], PADDING), dtype=tf.float32)
        return (
            tuple(total + targets * one for total, one in zip(gradients, more, strict=True)),
            num_targets + targets,
            num_examples + tf.cast(output.num_examples, tf.int64),
            num_batches + 1,
        )

    def before() -> Any:
        zeros = tuple(tf.zeros(variable.shape, variable.dtype) for variable in variables)
        return zeros, tf.zeros([]), tf.zeros([], tf.int64), tf.zeros([], tf.int64)

    # The loop over an iterator is twice as fast as TFF's default.
    loop = loop_builder.build_training_loop(tff.learning.LoopImplementation.DATASET_ITERATOR)
    total, num_targets, num_examples, num_batches = loop(add, batches, before)
    return tuple(tf.math.divide_no_nan(one, num_targets) for one in total), Steps(num_examples, num_batches)
