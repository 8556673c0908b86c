"""Steps of an optimizer over a client's batches, each along a gradient that the algorithm may correct."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.learning import loop_builder, tensor_utils

Tensors = tuple[tf.Tensor, ...]
#: From a tensor's gradient, its value and its first value to the gradient to step along.
Correction = Callable[..., tf.Tensor]


@dataclass(frozen=True)
class Trained:
    """What local training gives.

    Attributes:
        update: The first minus the last trainable weights; zero if a number of it is not finite.
        is_finite: Whether all numbers were, bool.
        num_examples: Examples trained on, int64; each counts in every epoch.
        num_steps: Steps taken, int64.
        metrics: The model's sums; all zero if the update is not finite, so that one client does not spoil the mean.
    """

    update: Tensors
    is_finite: tf.Tensor
    num_examples: tf.Tensor
    num_steps: tf.Tensor
    metrics: Any


def train_locally(
    model: tff.learning.models.VariableModel,
    optimizer: tff.learning.optimizers.Optimizer,
    hparams: Any,
    initial: tff.learning.models.ModelWeights,
    batches: tf.data.Dataset,
    correction: Correction,
    *corrections: Tensors,
) -> Trained:
    """Trains a model on a client's batches. To be called in a `tf.function`.

    Args:
        model: Built in the function's graph.
        optimizer: Takes the steps, from a fresh state.
        hparams: Its hyperparameters, which go before its own.
        initial: The model that the client got.
        batches: The client's batches.
        correction: Is called for each trainable tensor.
        corrections: For each trainable tensor, what `correction` gets beside gradient, value and first value.
    """
    weights = tff.learning.models.ModelWeights.from_model(model)
    tf.nest.map_structure(lambda variable, value: variable.assign(value), weights, initial)
    first = tuple(tf.nest.flatten(initial.trainable))
    variables = tuple(tf.nest.flatten(weights.trainable))

    def step(state: Any, batch: Any) -> Any:
        num_examples, num_steps, optimizer_state = state
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch, training=True)
        gradients = tape.gradient(output.loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        values = tuple(variable.read_value() for variable in variables)
        gradients = tuple(correction(*one) for one in zip(gradients, values, first, *corrections, strict=True))
        optimizer_state, updated = optimizer.next(optimizer_state, values, gradients)
        tf.nest.map_structure(lambda variable, value: variable.assign(value), variables, tuple(updated))
        return num_examples + tf.cast(output.num_examples, tf.int64), num_steps + 1, optimizer_state

    def before() -> Any:
        specs = tuple(tf.TensorSpec(variable.shape, variable.dtype) for variable in variables)
        state = optimizer.set_hparams(optimizer.initialize(specs), hparams)
        return tf.zeros([], tf.int64), tf.zeros([], tf.int64), state

    # The loop over an iterator is twice as fast as TFF's default.
    loop = loop_builder.build_training_loop(tff.learning.LoopImplementation.DATASET_ITERATOR)
    num_examples, num_steps, _ = loop(step, batches, before)
    update, has_non_finite = tensor_utils.zero_all_if_any_non_finite(
        tuple(a - b for a, b in zip(first, variables, strict=True))
    )
    is_finite = tf.equal(has_non_finite, 0)
    metrics = tf.nest.map_structure(
        lambda total: tf.where(is_finite, total, tf.zeros_like(total)), model.report_local_unfinalized_metrics()
    )
    return Trained(update, is_finite, num_examples, num_steps, metrics)
