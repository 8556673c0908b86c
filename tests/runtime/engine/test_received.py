"""Splitting a client's work, on graphs small enough to see what should be on which side."""

import numpy as np
import tensorflow as tf

from fedcli.runtime.engine.compiled import Part
from fedcli.runtime.engine.received import split_work


def part(build, initialize_op=""):
    """Builds the work of a client that holds a number (in place of a dataset) from a function of it and a message."""
    with tf.Graph().as_default() as graph:
        data = tf.compat.v1.placeholder(tf.float32, [], name="data")
        message = tf.compat.v1.placeholder(tf.float32, [3], name="message")
        output = tf.identity(build(data, message), name="output")
    return Part(graph.as_graph_def(), ("data:0", "message:0"), (output.name,), initialize_op)


def run(part, values):
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.import_graph_def(part.graph, name="")
        if part.initialize_op:
            session.run(graph.get_operation_by_name(part.initialize_op))
        return session.run(list(part.outputs), dict(zip(part.inputs, values, strict=True)))


def operations(part):
    return {node.op for node in part.graph.node}


def check(build, initialize_op="", data=2.0, message=(1.0, 2.0, 3.0)):
    """Splits, compares the result with the unsplit one, and returns the parts."""
    work = part(build, initialize_op)
    parts = split_work(work)
    message = np.array(message, np.float32)
    received = run(parts["receive"], [message]) if "receive" in parts else [message]
    for one, whole in zip(
        run(parts["work"], [np.float32(data), *received]), run(work, [np.float32(data), message]), strict=True
    ):
        np.testing.assert_array_equal(one, whole)
    return parts


def test_what_depends_on_the_message_alone_is_done_once():
    parts = check(lambda data, message: data * tf.exp(message) + tf.reduce_sum(message))
    assert {"Exp", "Sum"} <= operations(parts["receive"])
    assert not {"Exp", "Sum"} & operations(parts["work"])
    assert {"Mul", "AddV2"} <= operations(parts["work"])


def test_a_message_that_is_used_as_it_comes_stays_the_input():
    parts = check(lambda data, message: data * tf.reshape(message, [3, 1]))
    assert list(parts) == ["work"]


def test_an_output_may_be_what_is_done_once():
    parts = check(lambda data, message: tf.exp(message))
    assert "Exp" not in operations(parts["work"])


def test_loops_are_not_torn_apart():
    def build(data, message):
        once = tf.compat.v1.while_loop(lambda i, x: i < 5, lambda i, x: (i + 1, x * 1.5), (0, message))[1]
        # The message and a constant enter a loop over the client's data.
        own = tf.compat.v1.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x + message * once), (0, data * message))
        return own[1]

    tf.compat.v1.disable_control_flow_v2()
    try:
        parts = check(build)
    finally:
        tf.compat.v1.enable_control_flow_v2()
    loops = [sum(node.op == "LoopCond" for node in parts[name].graph.node) for name in ("receive", "work")]
    assert loops == [1, 1]


def test_a_branch_is_the_clients():
    def build(data, message):
        picked = tf.compat.v1.cond(tf.reduce_sum(message) > 0, lambda: tf.exp(message), lambda: tf.sin(message))
        return data * picked

    tf.compat.v1.disable_control_flow_v2()
    try:
        parts = check(build)
    finally:
        tf.compat.v1.enable_control_flow_v2()
    assert {"Exp", "Sin"} <= operations(parts["work"])


def test_state_and_random_numbers_are_the_clients():
    work = part(lambda data, message: data + tf.random.uniform([3]) + tf.exp(message))
    parts = split_work(work)
    assert "RandomUniform" in operations(parts["work"])
    assert "RandomUniform" not in operations(parts["receive"])


def test_variables_are_initialised_where_they_are():
    def build(data, message):
        variable = tf.compat.v1.get_variable("v", initializer=tf.exp(tf.ones([3])), use_resource=True)
        tf.group(variable.initializer, name="init")
        return variable.assign_add(data * tf.exp(message))

    parts = check(build, "init")
    assert "Exp" in operations(parts["receive"])


def test_what_cannot_leave_a_session_is_done_by_each_client():
    def build(data, message):
        rows = tf.raw_ops.TensorListFromTensor(tensor=tf.exp(message), element_shape=tf.constant([], tf.int32))
        index = tf.cast(data, tf.int32)
        return tf.raw_ops.TensorListGetItem(
            input_handle=rows, index=index, element_shape=tf.constant([], tf.int32), element_dtype=tf.float32
        )

    parts = check(build)
    assert "TensorListFromTensor" in operations(parts["work"])
    assert "Exp" in operations(parts["receive"])
