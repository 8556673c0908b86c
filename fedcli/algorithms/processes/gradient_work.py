"""Clients' work of federated SGD: a client sends the gradient of its mean loss at the server's model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.algorithms.processes.client_work import WorkTypes
from fedcli.algorithms.processes.full_gradient import full_gradient
from fedcli.algorithms.processes.local_steps import checked, put_into
from fedcli.models.base import ModelFn


def gradient_client_work(model_fn: ModelFn) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process, which has no state.

    Unlike the work of `tff.learning.algorithms.build_fed_sgd`, which weighs the mean gradients of batches by their
    sequences, so that the targets of a padded sequence count more.

    Args:
        model_fn: Builds the model.
    """
    types = WorkTypes.of(model_fn)

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_value((), tff.SERVER)

    @tff.tensorflow.computation(types.weights, types.batches)
    def work(weights: Any, batches: Any) -> Any:
        model = model_fn()

        @tf.function
        def gradient(weights: Any, batches: Any) -> Any:
            result = checked(model, *full_gradient(model, put_into(model, weights), batches))
            weight = tf.where(result.is_finite, tf.cast(result.num_examples, tf.float32), 0.0)
            client_result = tff.learning.templates.ClientResult(update=list(result.update), update_weight=weight)
            return client_result, result.metrics

        return gradient(weights, batches)

    def take_round(state: Any, weights: Any, batches: Any) -> Any:
        result, metrics = tff.federated_map(work, (weights, batches))
        return state, result, metrics

    return types.process(initialize, take_round)
