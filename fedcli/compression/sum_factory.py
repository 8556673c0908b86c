"""Sums clients' updates that travel as coded messages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.compression.codec import Codec, new_seed, stream_bits
from fedcli.compression.layout import Layout
from fedcli.runtime.engine.communication import CODING, NOT_SENT
from fedcli.runtime.engine.traffic import bits


class CodedSumFactory(tff.aggregators.UnweightedAggregationFactory):
    """Each client encodes its update; the server decodes each message as it arrives and adds it up.

    Measures `bits_per_element` (all that clients send, headers and tensors sent whole counted, per number of the
    update), `sparsity` (share of zeros among the decoded numbers of coded tensors), `stream_bits` (bits of all clients'
    streams, whose length is not known from their type) and `distortion`: the squared error of the summed update,
    relative to its squared norm.

    Args:
        codec: Makes the codec of a vector from the shapes of the tensors that it is made of.
        min_elements: Tensors of fewer numbers are sent whole.
        per_tensor: Whether each tensor is encoded by itself, or all together as one vector.
        measure_distortion: Whether to measure `distortion`, for which the simulation also sums the updates as they
            were before the coding; that does not count as communication.
    """

    def __init__(
        self,
        codec: Callable[[Sequence[tuple[int, ...]]], Codec],
        *,
        min_elements: int,
        per_tensor: bool,
        measure_distortion: bool,
    ) -> None:
        self._codec = codec
        self._min_elements = min_elements
        self._per_tensor = per_tensor
        self._measure_distortion = measure_distortion

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        """Creates the process for updates of a type."""
        layout = Layout(value_type, self._min_elements, self._per_tensor)
        codecs = [self._codec(shapes) for shapes in layout.vectors]

        @tff.tensorflow.computation
        def initial_state() -> Any:
            return [codec.initial_state() for codec in codecs]

        state_type = initial_state.type_signature.result

        @tff.tensorflow.computation(state_type)
        def parameters_of(state: Any) -> Any:
            return [codec.parameters(one) for codec, one in zip(codecs, state, strict=True)]

        parameters_type = parameters_of.type_signature.result

        @tff.tensorflow.computation(value_type, parameters_type)
        def encode(value: Any, parameters: Any) -> Any:
            vectors, whole = layout.split(value)
            messages = [
                codec.encode(x, one, new_seed()) for codec, x, one in zip(codecs, vectors, parameters, strict=True)
            ]
            return OrderedDict(messages=messages, whole=whole)

        sent_type = encode.type_signature.result

        def decoded(sent: Any) -> Any:
            read = [codec.decode(message) for codec, message in zip(codecs, sent["messages"], strict=True)]
            vectors = [vector for vector, _ in read]
            return OrderedDict(
                sum=layout.join(vectors, sent["whole"]),
                clients=tf.constant(1, tf.int32),
                stream_bits=sum((stream_bits(m) for m in sent["messages"]), tf.constant(0, tf.int64)),
                nonzeros=sum((tf.math.count_nonzero(x) for x in vectors), tf.constant(0, tf.int64)),
                observed=[observed for _, observed in read],
            )

        total_type = tff.tensorflow.computation(decoded, sent_type).type_signature.result

        @tff.tensorflow.computation
        def zero() -> Any:
            return _zeros(total_type)

        @tff.tensorflow.computation(total_type, total_type)
        def merge(a: Any, b: Any) -> Any:
            return tf.nest.map_structure(tf.add, a, b)

        @tff.tensorflow.computation(total_type, sent_type)
        def accumulate(total: Any, sent: Any) -> Any:
            return tf.nest.map_structure(tf.add, total, decoded(sent))

        @tff.tensorflow.computation(total_type)
        def report(total: Any) -> Any:
            return total

        @tff.tensorflow.computation(state_type, total_type)
        def next_state(state: Any, total: Any) -> Any:
            clients = tf.cast(total["clients"], tf.float32)
            return [
                codec.update(one, observed, clients)
                for codec, one, observed in zip(codecs, state, total["observed"], strict=True)
            ]

        @tff.tensorflow.computation(total_type)
        def measure(total: Any) -> Any:
            clients = tf.cast(tf.maximum(total["clients"], 1), tf.float32)
            streams = tf.cast(total["stream_bits"], tf.float32)
            coded = clients * sum(layout.sizes)
            return OrderedDict(
                bits_per_element=(streams / clients + float(bits(sent_type))) / layout.num_elements,
                sparsity=1.0 - tf.cast(total["nonzeros"], tf.float32) / coded,
                stream_bits=total["stream_bits"],
            )

        @tff.tensorflow.computation(value_type)
        def not_sent(value: Any) -> Any:
            return OrderedDict({NOT_SENT: value})

        @tff.tensorflow.computation(measure.type_signature.result, value_type, not_sent.type_signature.result)
        def with_distortion(measured: Any, decoded: Any, true: Any) -> Any:
            decoded, true = (tf.nest.flatten(x) for x in (decoded, true[NOT_SENT]))
            error = tf.add_n([tf.reduce_sum(tf.square(a - b)) for a, b in zip(decoded, true, strict=True)])
            norm = tf.add_n([tf.reduce_sum(tf.square(b)) for b in true])
            return OrderedDict(measured, distortion=tf.math.divide_no_nan(error, norm))

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_eval(initial_state, tff.SERVER)

        @tff.federated_computation(
            tff.FederatedType(state_type, tff.SERVER), tff.FederatedType(value_type, tff.CLIENTS)
        )
        def next_round(state: Any, value: Any) -> Any:
            parameters = tff.federated_broadcast(tff.federated_map(parameters_of, state))
            sent = tff.federated_map(encode, (value, parameters))
            total = tff.federated_aggregate(sent, zero(), accumulate, merge, report)
            measured = tff.federated_map(measure, total)
            decoded = tff.federated_map(_sum_of(total_type), total)
            if self._measure_distortion:
                true = tff.federated_sum(tff.federated_map(not_sent, value))
                measured = tff.federated_map(with_distortion, (measured, decoded, true))
            return tff.templates.MeasuredProcessOutput(
                state=tff.federated_map(next_state, (state, total)),
                result=decoded,
                measurements=tff.federated_zip(OrderedDict({CODING: measured})),
            )

        return tff.templates.AggregationProcess(initialize, next_round)


def _sum_of(total_type: tff.Type) -> tff.Computation:
    @tff.tensorflow.computation(total_type)
    def sum_of(total: Any) -> Any:
        return total["sum"]

    return sum_of


def _zeros(tff_type: tff.Type) -> Any:
    def zeros(spec: tff.Type) -> Any:
        if isinstance(spec, tff.StructType):
            elements = [(name, zeros(element)) for name, element in tff.structure.to_elements(spec)]
            return tff.types.type_to_py_container(tff.structure.Struct(elements), spec)
        return tf.zeros(spec.shape, spec.dtype)

    return zeros(tff_type)
