"""The frame of every client work process: the types of its inputs, and the sum of its metrics over clients."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.core.impl.types import computation_types

from fedcli.models.base import ModelFn

#: From a round's state, the clients' weights and their data to the next state, the clients' results and their metrics.
Round = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


@dataclass(frozen=True)
class WorkTypes:
    """The types that clients need to train a model, and its metrics.

    Attributes:
        weights: Type of the model's weights.
        batches: Type of a client's batches.
        finalizers: Functions from the sums of the model's metrics to their values.
    """

    weights: tff.StructType
    batches: tff.SequenceType
    finalizers: Any

    @classmethod
    def of(cls, model_fn: ModelFn) -> WorkTypes:
        """Reads the types from a model, which it builds in a graph of its own."""
        with tf.Graph().as_default():
            model = model_fn()
            finalizers = model.metric_finalizers()
            batches = tff.SequenceType(computation_types.tensorflow_to_type(model.input_spec))
        return cls(tff.learning.models.weights_type_from_model(model_fn), batches, finalizers)

    def process(
        self, initialize: tff.Computation, take_round: Round, data: tff.Type | None = None
    ) -> tff.learning.templates.ClientWorkProcess:
        """Makes a round, traced as a federated computation, into a process.

        Args:
            initialize: Makes the first state.
            take_round: The round.
            data: Type of a client's data; None for its batches alone.
        """

        @tff.federated_computation(
            initialize.type_signature.result,
            tff.FederatedType(self.weights, tff.CLIENTS),
            tff.FederatedType(data or self.batches, tff.CLIENTS),
        )
        def next_round(state: Any, weights: Any, data: Any) -> Any:
            after, result, metrics = take_round(state, weights, data)
            measured = tff.learning.metrics.sum_then_finalize(self.finalizers)(metrics)
            return tff.templates.MeasuredProcessOutput(after, result, tff.federated_zip(OrderedDict(train=measured)))

        return tff.learning.templates.ClientWorkProcess(initialize, next_round)
