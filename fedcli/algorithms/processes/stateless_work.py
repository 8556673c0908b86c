"""Clients' work that begins anew in each round: what federated averaging, FedProx and the like do around training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.algorithms.processes.client_work import WorkTypes
from fedcli.algorithms.processes.local_steps import Trained
from fedcli.models.base import ModelFn

#: From a model in the current graph, the optimizer's hyperparameters, the weights that a client got and its batches.
Train = Callable[[tff.learning.models.VariableModel, Any, tff.learning.models.ModelWeights, tf.data.Dataset], Trained]


def stateless_client_work(
    model_fn: ModelFn, optimizer: tff.learning.optimizers.Optimizer, train: Train, *, weighted: bool
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process, whose state is the optimizer's hyperparameters: clients get them every round.

    Args:
        model_fn: Builds the model that clients train.
        optimizer: The one whose hyperparameters they are.
        train: Trains; called in a `tf.function`. Its update is sent.
        weighted: Whether a client's weight is its number of examples; else it is 1.
    """
    types = WorkTypes.of(model_fn)
    hparams = optimizer.get_hparams(optimizer.initialize(tf.TensorSpec([], tf.float32)))

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_value(hparams, tff.SERVER)

    hparams_type = initialize.type_signature.result.member

    @tff.tensorflow.computation(hparams_type, types.weights, types.batches)
    def work(hparams: Any, weights: Any, batches: Any) -> Any:
        model = model_fn()

        @tf.function
        def trained(hparams: Any, weights: Any, batches: Any) -> Any:
            result = train(model, hparams, weights, batches)
            weight = tf.cast(result.num_examples, tf.float32) if weighted else tf.constant(1.0)
            client_result = tff.learning.templates.ClientResult(
                update=list(result.update), update_weight=tf.where(result.is_finite, weight, 0.0)
            )
            return client_result, result.metrics

        return trained(hparams, weights, batches)

    def take_round(state: Any, weights: Any, batches: Any) -> Any:
        result, metrics = tff.federated_map(work, (tff.federated_broadcast(state), weights, batches))
        return state, result, metrics

    return types.process(initialize, take_round)
