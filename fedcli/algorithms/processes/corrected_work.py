"""Clients' work as federated averaging has it, but for a correction of each gradient."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.core.impl.types import computation_types

from fedcli.algorithms.processes.local_steps import Correction, train_locally
from fedcli.models.base import ModelFn


def corrected_client_work(
    model_fn: ModelFn, optimizer: tff.learning.optimizers.Optimizer, correction: Correction, *, weighted: bool
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process, whose state is the optimizer's hyperparameters: clients get them every round.

    Args:
        model_fn: Builds the model that clients train.
        optimizer: Takes the local steps.
        correction: See `train_locally`.
        weighted: Whether a client's weight is its number of examples; else it is 1.
    """
    with tf.Graph().as_default():
        model = model_fn()
        finalizers = model.metric_finalizers()
        data_type = tff.SequenceType(computation_types.tensorflow_to_type(model.input_spec))
    weights_type = tff.learning.models.weights_type_from_model(model_fn)
    hparams = optimizer.get_hparams(optimizer.initialize(tf.TensorSpec([], tf.float32)))

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_value(hparams, tff.SERVER)

    hparams_type = initialize.type_signature.result.member

    @tff.tensorflow.computation(hparams_type, weights_type, data_type)
    def train(hparams: Any, weights: Any, batches: Any) -> Any:
        model = model_fn()

        @tf.function
        def trained(hparams: Any, weights: Any, batches: Any) -> Any:
            result = train_locally(model, optimizer, hparams, weights, batches, correction)
            weight = tf.cast(result.num_examples, tf.float32) if weighted else tf.constant(1.0)
            client_result = tff.learning.templates.ClientResult(
                update=list(result.update), update_weight=tf.where(result.is_finite, weight, 0.0)
            )
            return client_result, result.metrics

        return trained(hparams, weights, batches)

    @tff.federated_computation(
        initialize.type_signature.result,
        tff.FederatedType(weights_type, tff.CLIENTS),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def next_round(state: Any, weights: Any, batches: Any) -> Any:
        result, metrics = tff.federated_map(train, (tff.federated_broadcast(state), weights, batches))
        measured = tff.learning.metrics.sum_then_finalize(finalizers)(metrics)
        return tff.templates.MeasuredProcessOutput(state, result, tff.federated_zip(OrderedDict(train=measured)))

    return tff.learning.templates.ClientWorkProcess(initialize, next_round)
