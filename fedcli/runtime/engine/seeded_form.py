"""A round whose clients take the keys of their random numbers beside their data, for TFF's own runtime."""

from __future__ import annotations

import numpy as np
import tensorflow_federated as tff
from tensorflow_federated.proto.v0 import computation_pb2
from tensorflow_federated.python.core.impl.computation import computation_impl
from tensorflow_federated.python.core.impl.context_stack import context_stack_impl
from tensorflow_federated.python.core.impl.types import type_serialization
from tensorflow_federated.python.tensorflow_libs import serialization_utils

from fedcli.runtime.engine import randomness
from fedcli.runtime.engine.compiled import CompiledRound


def seeded_next(compiled: CompiledRound, form: tff.backends.mapreduce.MapReduceForm) -> tff.Computation:
    """Builds the round from its MapReduce form, with the seeded `work` that `runtime=local` executes.

    Args:
        compiled: A round whose `work` has random operations.
        form: The MapReduce form that it was compiled from.

    Returns:
        A computation like the process's `next`, whose clients hold (dataset, keys).
    """
    work = form.work
    data_type, context_type = work.type_signature.parameter
    # The whole of it: the compiled one leaves to `receive` what all clients do alike.
    work_graph = serialization_utils.unpack_graph_def(work.to_compiled_building_block().proto.tensorflow.graph_def)
    count = len(randomness.random_operations(work_graph))
    input_type = tff.to_type([data_type, tff.TensorType(np.uint64, [count])])

    proto = computation_pb2.Computation()
    proto.CopyFrom(work.to_compiled_building_block().proto)
    seeded_type = tff.FunctionType([input_type, context_type], work.type_signature.result)
    proto.type.CopyFrom(type_serialization.serialize_type(seeded_type))
    graph = randomness.seeded(work_graph)
    proto.tensorflow.graph_def.CopyFrom(serialization_utils.pack_graph_def(graph))
    # A cached session of the worker belongs to the graph as it was.
    proto.tensorflow.ClearField("cache_key")
    inputs = proto.tensorflow.parameter.struct.element
    data_and_keys = computation_pb2.TensorFlow.Binding()
    data_and_keys.struct.element.add().CopyFrom(inputs[0])
    data_and_keys.struct.element.add().tensor.tensor_name = f"{randomness.KEYS}:0"
    inputs[0].CopyFrom(data_and_keys)

    seeded_work = computation_impl.ConcreteComputation(
        computation_proto=proto, context_stack=context_stack_impl.context_stack
    )
    state_type = form.type_signature.parameter[0]
    report_type = form.report.type_signature.result

    # TFF's own way back from a MapReduce form also sums securely, even if nothing, which the worker cannot.
    @tff.federated_computation(state_type.member, report_type)
    def update(state, report):  # type: ignore[no-untyped-def]
        return form.update(state, [report, [], [], []])

    @tff.federated_computation(state_type, tff.FederatedType(input_type, tff.CLIENTS))
    def next_round(state, clients):  # type: ignore[no-untyped-def]
        broadcast = tff.federated_broadcast(tff.federated_map(form.prepare, state))
        results = tff.federated_map(seeded_work, tff.federated_zip((clients, broadcast)))
        total = tff.federated_aggregate(results[0], form.zero(), form.accumulate, form.merge, form.report)
        return tff.federated_map(update, tff.federated_zip((state, total)))

    return next_round
