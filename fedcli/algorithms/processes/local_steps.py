"""Steps of an optimizer over a client's batches, each along a gradient that the algorithm may correct."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.learning import loop_builder, tensor_utils

Tensors = tuple[tf.Tensor, ...]
#: From a tensor's gradient, its value and its first value to the gradient to step along.
Correction = Callable[..., tf.Tensor]
#: From all gradients and all values to the gradients to step along.
Corrections = Callable[[Tensors, Tensors], Tensors]


@dataclass(frozen=True)
class Steps:
    """What steps were taken on.

    Attributes:
        num_examples: Examples trained on, int64; each counts in every epoch.
        num_steps: Steps taken, int64.
    """

    num_examples: tf.Tensor
    num_steps: tf.Tensor


@dataclass(frozen=True)
class Trained(Steps):
    """What local training gives.

    Attributes:
        update: The first minus the last trainable weights; zero if a number of it is not finite.
        is_finite: Whether all numbers were, bool.
        metrics: The model's sums; all zero if the update is not finite, so that one client does not spoil the mean.
    """

    update: Tensors
    is_finite: tf.Tensor
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
    variables = put_into(model, initial)
    first = tuple(tf.nest.flatten(initial.trainable))

    def corrected(gradients: Tensors, values: Tensors) -> Tensors:
        return tuple(correction(*one) for one in zip(gradients, values, first, *corrections, strict=True))

    steps = take_steps(model, variables, optimizer, hparams, batches, corrected)
    return trained(model, steps, first, variables)


def put_into(
    model: tff.learning.models.VariableModel, weights: tff.learning.models.ModelWeights
) -> tuple[tf.Variable, ...]:
    """Gives a model its weights, and returns its trainable variables."""
    own = tff.learning.models.ModelWeights.from_model(model)
    tf.nest.map_structure(lambda variable, value: variable.assign(value), own, weights)
    return tuple(tf.nest.flatten(own.trainable))


def take_steps(
    model: tff.learning.models.VariableModel,
    variables: Sequence[tf.Variable],
    optimizer: tff.learning.optimizers.Optimizer,
    hparams: Any,
    batches: tf.data.Dataset,
    corrected: Corrections | None = None,
) -> Steps:
    """Takes a step along the gradient of each batch. To be called in a `tf.function`.

    Args:
        model: Built in the function's graph.
        variables: Those of the model that are trained; the others stay as they are.
        optimizer: Takes the steps, from a fresh state.
        hparams: Its hyperparameters, which go before its own.
        batches: The batches.
        corrected: Corrects the gradients; None for none.
    """
    variables = tuple(variables)

    def step(state: Any, batch: Any) -> Any:
        num_examples, num_steps, optimizer_state = state
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch, training=True)
        gradients = tape.gradient(output.loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        values = tuple(variable.read_value() for variable in variables)
        if corrected is not None:
            gradients = corrected(gradients, values)
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
    return Steps(num_examples, num_steps)


def trained(
    model: tff.learning.models.VariableModel, steps: Steps, first: Sequence[tf.Tensor], last: Sequence[tf.Tensor]
) -> Trained:
    """Makes the result of steps that a model has taken.

    Args:
        model: The model, with its metrics.
        steps: The steps that count.
        first: Weights before.
        last: The same weights afterwards.
    """
    return checked(model, tuple(a - b for a, b in zip(first, last, strict=True)), steps)


def checked(model: tff.learning.models.VariableModel, update: Tensors, steps: Steps) -> Trained:
    """Makes the result of an update, which becomes zero if a number of it is not finite.

    Args:
        model: The model, with its metrics.
        update: What the client is to send.
        steps: What it was computed from.
    """
    update, has_non_finite = tensor_utils.zero_all_if_any_non_finite(update)
    is_finite = tf.equal(has_non_finite, 0)
    metrics = tf.nest.map_structure(
        lambda total: tf.where(is_finite, total, tf.zeros_like(total)), model.report_local_unfinalized_metrics()
    )
    return Trained(steps.num_examples, steps.num_steps, update, is_finite, metrics)
