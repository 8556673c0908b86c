"""Clients' work of MimeLite: steps by the server's optimizer state, and the gradient that brings it up to date."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.learning import loop_builder, tensor_utils

from fedcli.algorithms.processes.client_work import WorkTypes
from fedcli.algorithms.processes.full_gradient import full_gradient
from fedcli.algorithms.processes.local_steps import Steps, Trained, put_into, trained
from fedcli.models.base import ModelFn


def shared_momentum_client_work(
    model_fn: ModelFn, optimizer: tff.learning.optimizers.Optimizer, *, weighted: bool
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process, whose state is the optimizer's, beside that of the mean of the gradients.

    As `tff.learning.algorithms.build_weighted_mime_lite` builds it, which weighs the mean gradients of batches by their
    sequences, so that the targets of a padded sequence count more.

    Args:
        model_fn: Builds the model.
        optimizer: Takes the local steps; its state stays as it is during them.
        weighted: Whether a client's gradient counts by its examples; else each client with examples counts the same.
    """
    types = WorkTypes.of(model_fn)
    mean = tff.aggregators.MeanFactory(no_nan_division=True).create(types.weights.trainable, tff.TensorType(np.float32))
    specs = tff.types.type_to_tf_tensor_specs(types.weights.trainable)

    @tff.tensorflow.computation
    def first_state() -> Any:
        return optimizer.initialize(specs)

    state_type = first_state.type_signature.result

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_zip((tff.federated_eval(first_state, tff.SERVER), mean.initialize()))

    @tff.tensorflow.computation(state_type, types.weights, types.batches)
    def work(state: Any, weights: Any, batches: Any) -> Any:
        model = model_fn()

        @tf.function
        def train(state: Any, weights: Any, batches: Any) -> Any:
            variables = put_into(model, weights)
            gradient, steps = full_gradient(model, variables, batches)
            gradient, has_non_finite = tensor_utils.zero_all_if_any_non_finite(gradient)
            # The metrics are those of the local steps alone.
            model.reset_metrics()
            result = _stepped(model, variables, optimizer, state, weights, batches, steps)
            is_finite = tf.logical_and(result.is_finite, tf.equal(has_non_finite, 0))
            weight = tf.where(is_finite, tf.cast(result.num_examples, tf.float32), 0.0)
            client_result = tff.learning.templates.ClientResult(update=list(result.update), update_weight=weight)
            return client_result, result.metrics, list(gradient), weight if weighted else tf.sign(weight)

        return train(state, weights, batches)

    @tff.tensorflow.computation(state_type, types.weights.trainable)
    def updated(state: Any, gradient: Any) -> Any:
        return optimizer.next(state, tf.nest.map_structure(tf.zeros_like, gradient), gradient)[0]

    def take_round(state: Any, weights: Any, batches: Any) -> Any:
        shared, mean_state = state
        result, metrics, gradient, weight = tff.federated_map(work, (tff.federated_broadcast(shared), weights, batches))
        output = mean.next(mean_state, gradient, weight)
        new_state = tff.federated_zip((tff.federated_map(updated, (shared, output.result)), output.state))
        return new_state, result, metrics

    return types.process(initialize, take_round)


def _stepped(
    model: tff.learning.models.VariableModel,
    variables: tuple[tf.Variable, ...],
    optimizer: tff.learning.optimizers.Optimizer,
    state: Any,
    initial: tff.learning.models.ModelWeights,
    batches: tf.data.Dataset,
    steps: Steps,
) -> Trained:
    """Takes a step along the gradient of each batch, all from the same state of the optimizer."""

    def step(done: Any, batch: Any) -> Any:
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch, training=True)
        gradients = tape.gradient(output.loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        values = [variable.read_value() for variable in variables]
        _, after = optimizer.next(state, values, list(gradients))
        tf.nest.map_structure(lambda variable, value: variable.assign(value), list(variables), list(after))
        return done

    loop = loop_builder.build_training_loop(tff.learning.LoopImplementation.DATASET_ITERATOR)
    loop(step, batches, lambda: tf.zeros([0]))
    return trained(model, steps, tuple(tf.nest.flatten(initial.trainable)), variables)
