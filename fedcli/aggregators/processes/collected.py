"""Aggregates updates by a rule that must see each of them, such as a median."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from fedcli.compression.layout import Layout

#: From updates, float32 [clients, numbers], and weights, float32 [clients], to an update, [numbers]. There is a client.
Rule = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def collected(rule: Rule, *, weighted: bool) -> tff.aggregators.AggregationFactory:
    """Builds the factory; see `AggregatorConfig.build`.

    Clients send their updates as they are, 32 bits a number. What is "summed" on the way to the server is a table with
    a row for each client: TFF's MapReduce form knows sums alone, and so a round's memory grows with its clients. The
    rows are in the order in which clients are summed, which is the same whatever executes the round.

    Updates that hold a number that is not finite, as an attack can make them, are left out. How many is measured as
    `left_out`. If none remains, the result is zero. Updates of weight 0 are left out too: only TFF's own runtime sends
    them here, before it knows whose they are.

    Args:
        rule: Computes the result.
        weighted: Whether clients send a weight; else each has the weight 1.
    """
    return _Weighted(rule) if weighted else _Unweighted(rule)


class _Weighted(tff.aggregators.WeightedAggregationFactory):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def create(self, value_type: tff.Type, weight_type: tff.Type) -> tff.templates.AggregationProcess:
        row, total = _computations(self._rule, value_type)

        @tff.tensorflow.computation(value_type, weight_type)
        def sent(value: Any, weight: Any) -> Any:
            return OrderedDict(update=row(value), weight=tf.cast(weight, tf.float32))

        @tff.federated_computation(
            _nothing.type_signature.result,
            tff.FederatedType(value_type, tff.CLIENTS),
            tff.FederatedType(weight_type, tff.CLIENTS),
        )
        def next_round(state: Any, value: Any, weight: Any) -> Any:
            result, measured = total(tff.federated_map(sent, (value, weight)))
            return tff.templates.MeasuredProcessOutput(state, result, measured)

        return tff.templates.AggregationProcess(_nothing, next_round)


class _Unweighted(tff.aggregators.UnweightedAggregationFactory):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        row, total = _computations(self._rule, value_type)

        @tff.tensorflow.computation(value_type)
        def sent(value: Any) -> Any:
            return OrderedDict(update=row(value))

        @tff.federated_computation(_nothing.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS))
        def next_round(state: Any, value: Any) -> Any:
            result, measured = total(tff.federated_map(sent, value))
            return tff.templates.MeasuredProcessOutput(state, result, measured)

        return tff.templates.AggregationProcess(_nothing, next_round)


@tff.federated_computation
def _nothing() -> Any:
    return tff.federated_value((), tff.SERVER)


def _computations(rule: Rule, value_type: tff.Type) -> tuple[Callable[[Any], tf.Tensor], Callable[[Any], Any]]:
    """Makes what turns an update into a row, and what turns messages at clients into result and measurements."""
    layout = Layout(value_type, min_elements=0, per_tensor=False)
    size = layout.num_elements
    if layout.sizes != [size]:
        raise TypeError(f"updates are not of float32 alone: {value_type}")
    table_type = tff.to_type(OrderedDict(updates=(np.float32, [None, size]), weights=(np.float32, [None])))

    def row(value: Any) -> tf.Tensor:
        ((vector,), _) = layout.split(value)
        return vector

    @tff.tensorflow.computation
    def zero() -> Any:
        return OrderedDict(updates=tf.zeros([0, size]), weights=tf.zeros([0]))

    @tff.tensorflow.computation(table_type, table_type)
    def merge(first: Any, then: Any) -> Any:
        return OrderedDict((name, tf.concat([first[name], then[name]], 0)) for name in ("updates", "weights"))

    @tff.tensorflow.computation(table_type)
    def report(table: Any) -> Any:
        return table

    @tff.tensorflow.computation(table_type)
    def aggregate(table: Any) -> Any:
        updates, weights = table["updates"], table["weights"]
        usable = tf.logical_and(tf.reduce_all(tf.math.is_finite(updates), 1), weights > 0)
        left = tf.math.count_nonzero(usable, dtype=tf.int32)
        result = tf.cond(
            left > 0,
            lambda: rule(tf.boolean_mask(updates, usable), tf.boolean_mask(weights, usable)),
            lambda: tf.zeros([size]),
        )
        measured = OrderedDict(left_out=tf.shape(updates)[0] - left)
        return layout.join([tf.ensure_shape(result, [size])], []), measured

    def total(messages: Any) -> Any:
        message_type = messages.type_signature.member

        @tff.tensorflow.computation(table_type, message_type)
        def accumulate(table: Any, message: Any) -> Any:
            weight = message["weight"] if "weight" in message else tf.constant(1.0)
            return OrderedDict(
                updates=tf.concat([table["updates"], message["update"][tf.newaxis]], 0),
                weights=tf.concat([table["weights"], weight[tf.newaxis]], 0),
            )

        table = tff.federated_aggregate(messages, zero(), accumulate, merge, report)
        result = tff.federated_map(aggregate, table)
        return result[0], result[1]

    return row, total
