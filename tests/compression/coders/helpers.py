"""Bit streams written the slow way, and TFF computations executed as the runtimes do."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from tensorflow_federated.python.tensorflow_libs import serialization_utils

import fedcli.runtime.engine.no_worker  # noqa: F401 (no TFF worker at exit)


def stream(bits):
    """Returns a string of zeros and ones as bytes, the last one filled with zeros."""
    bits += "0" * (-len(bits) % 8)
    return np.array([int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)], np.uint8)


def fixed(value, length):
    """Returns an integer as a string of so many bits."""
    return format(int(value), f"0{length}b") if length else ""


def in_session(function, *types):
    """Compiles a function with `tff.tensorflow.computation` and imports its graph into a session of one thread.

    Args:
        function: From tensors to a tensor.
        types: A (dtype, shape) for each of its parameters.

    Returns:
        A function of arrays.
    """
    types = [tff.TensorType(*of) for of in types]
    computation = tff.tensorflow.computation(function, types if len(types) > 1 else types[0])
    proto = computation.to_compiled_building_block().proto.tensorflow
    graph_def = serialization_utils.unpack_graph_def(proto.graph_def)
    _check_pure(graph_def)
    parameter = proto.parameter
    bindings = parameter.struct.element if parameter.HasField("struct") else [parameter]
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="imported")
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    session = tf.compat.v1.Session(graph=graph, config=config)
    feeds = [graph.get_tensor_by_name(f"imported/{binding.tensor.tensor_name}") for binding in bindings]
    return session.make_callable(graph.get_tensor_by_name(f"imported/{proto.result.tensor.tensor_name}"), feeds)


def _check_pure(graph_def):
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    for node in nodes:
        for impure in ("PyFunc", "Random", "Variable", "VarHandle", "Ragged", "String", "Hash"):
            assert impure not in node.op, node.op
