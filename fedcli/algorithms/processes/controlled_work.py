"""Clients' work of SCAFFOLD: steps that control variates correct, and what becomes of the variates."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.algorithms.processes.client_work import WorkTypes
from fedcli.algorithms.processes.local_steps import train_locally
from fedcli.models.base import ModelFn
from fedcli.runtime.engine.communication import CHANGE_OF_KEPT, NUM_CLIENTS


def controlled_client_work(
    model_fn: ModelFn, optimizer: tff.learning.optimizers.Optimizer
) -> tff.learning.templates.ClientWorkProcess:
    """Builds the process.

    A client's data is a pair of sequences: its batches, and one element, its control variate. What it sends is the
    update and, summed over clients by the process itself, the change of that variate, under the name `CHANGE_OF_KEPT`:
    whoever runs the process adds it to the variate for the next time that the client takes part.

    Args:
        model_fn: Builds the model.
        optimizer: Plain SGD.
    """
    types = WorkTypes.of(model_fn)
    variate_type = tff.to_type(tuple(tff.structure.flatten(types.weights.trainable)))
    data_type = tff.to_type((types.batches, tff.SequenceType(variate_type)))
    first_hparams = optimizer.get_hparams(optimizer.initialize(tf.TensorSpec([], tf.float32)))

    @tff.tensorflow.computation
    def first_state() -> Any:
        zeros = tuple(tf.zeros(one.shape, one.dtype) for one in variate_type)
        return OrderedDict([("hparams", first_hparams), ("variate", zeros), (NUM_CLIENTS, tf.constant(1.0))])

    state_type = first_state.type_signature.result

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_eval(first_state, tff.SERVER)

    @tff.tensorflow.computation(state_type)
    def sent_down(state: Any) -> Any:
        return OrderedDict(hparams=state["hparams"], variate=state["variate"])

    @tff.tensorflow.computation(sent_down.type_signature.result, types.weights, data_type)
    def train(received: Any, weights: Any, data: Any) -> Any:
        model = model_fn()

        @tf.function
        def trained(received: Any, weights: Any, data: Any) -> Any:
            batches, kept = data
            common, own = tuple(received["variate"]), tuple(kept.get_single_element())
            result = train_locally(
                model,
                optimizer,
                received["hparams"],
                weights,
                batches,
                lambda gradient, value, first, common, own: gradient - own + common,
                common,
                own,
            )
            # Option II of the paper: the mean of the gradients that the client has stepped along, by what it moved.
            length = tf.cast(result.num_steps, tf.float32) * received["hparams"]["learning_rate"]
            moved = tf.logical_and(result.is_finite, result.num_steps > 0)
            change = tuple(
                tf.where(moved, tf.math.divide_no_nan(update, length) - one, tf.zeros_like(one))
                for update, one in zip(result.update, common, strict=True)
            )
            client_result = tff.learning.templates.ClientResult(
                update=list(result.update), update_weight=tf.cast(result.is_finite, tf.float32)
            )
            return client_result, result.metrics, OrderedDict({CHANGE_OF_KEPT: change})

        return trained(received, weights, data)

    @tff.tensorflow.computation(state_type, variate_type)
    def after(state: Any, change: Any) -> Any:
        variate = tuple(
            one + total / state[NUM_CLIENTS] for one, total in zip(state["variate"], tuple(change), strict=True)
        )
        return OrderedDict([("hparams", state["hparams"]), ("variate", variate), (NUM_CLIENTS, state[NUM_CLIENTS])])

    def take_round(state: Any, weights: Any, data: Any) -> Any:
        received = tff.federated_broadcast(tff.federated_map(sent_down, state))
        result, metrics, change = tff.federated_map(train, (received, weights, data))
        new_state = tff.federated_map(after, (state, tff.federated_sum(change)[CHANGE_OF_KEPT]))
        return new_state, result, metrics

    return types.process(initialize, take_round, data_type)
