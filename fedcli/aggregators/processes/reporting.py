"""Tells of each client whether it reports: whether its update counts."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.runtime.engine.communication import REPORTS


class Reporting(tff.aggregators.WeightedAggregationFactory):
    """Aggregates as another factory does, and sums over clients whether each reports.

    `tff.learning` gives a client the weight 0 if its update holds a number that is not finite, and replaces that update
    by zero. An aggregator that takes no weights, and bounds such as adaptive clipping, would count the zero as the
    update of an honest client. Here such a client does not report: every runtime leaves it out of the round, by the
    number that stands under the name `REPORTS` in what the client sends.

    Args:
        inner: Aggregates.
    """

    def __init__(self, inner: tff.aggregators.WeightedAggregationFactory) -> None:
        self._inner = inner

    def create(self, value_type: tff.Type, weight_type: tff.Type) -> tff.templates.AggregationProcess:
        """Creates the process for updates and weights of these types."""
        inner = self._inner.create(value_type, weight_type)
        measured_type = inner.next.type_signature.result.measurements.member

        @tff.tensorflow.computation(weight_type)
        def reports(weight: Any) -> Any:
            return OrderedDict({REPORTS: tf.cast(weight > 0, tf.int32)})

        @tff.tensorflow.computation(measured_type, reports.type_signature.result)
        def with_reports(measured: Any, total: Any) -> Any:
            # A process that measures nothing has an empty tuple.
            return OrderedDict(measured if len(measured_type) else (), **{REPORTS: total[REPORTS]})

        @tff.federated_computation(
            inner.initialize.type_signature.result,
            tff.FederatedType(value_type, tff.CLIENTS),
            tff.FederatedType(weight_type, tff.CLIENTS),
        )
        def next_round(state: Any, value: Any, weight: Any) -> Any:
            output = inner.next(state, value, weight)
            total = tff.federated_sum(tff.federated_map(reports, weight))
            measured = tff.federated_map(with_reports, (output.measurements, total))
            return tff.templates.MeasuredProcessOutput(output.state, output.result, measured)

        return tff.templates.AggregationProcess(inner.initialize, next_round)
