import numpy as np
import pytest
import tensorflow as tf

from fedcli.runtime.engine.adding import only_adds
from fedcli.runtime.engine.compiled import Part
from fedcli.runtime.engine.sessions import ClientSession, ServerSession
from tests.runtime.conftest import work


def part(build, count=2):
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(tf.float32, [3]) for _ in range(2 * count)]
        outputs = build(inputs[:count], inputs[count:])
    names = [[tensor.name for tensor in tensors] for tensors in (inputs, outputs)]
    return Part(graph.as_graph_def(), tuple(names[0]), tuple(names[1]), "")


def test_sums_one_by_one_in_either_order():
    assert only_adds(part(lambda first, then: [first[0] + then[0], tf.identity(then[1] + first[1])]))


@pytest.mark.parametrize(
    "build",
    [
        lambda first, then: [first[0] + then[0], first[1] - then[1]],
        lambda first, then: [first[0] + then[1], first[1] + then[0]],
        lambda first, then: [first[0] + then[0], first[1] + first[1]],
        lambda first, then: [first[0] + then[0], tf.math.floormod(first[1] + then[1], 5.0)],
        lambda first, then: [first[0] + then[0], first[1]],
        lambda first, then: [first[0] + then[0]],
    ],
)
def test_anything_else(build):
    assert not only_adds(part(build))


@pytest.mark.parametrize("aggregator", ["mean", "compression"])
def test_the_server_merges_to_the_bits_of_the_part(compiled, aggregator):
    round = compiled(aggregator)
    assert only_adds(round.parts["merge"])
    server, client = ServerSession(round), ClientSession(round)
    received = client.receive(server.call("prepare", server.call("initialize", (), (1, 2)), (1, 2)))
    first, then = (client.summed(work(number, 1), received) for number in (3, 4))
    merged = server.merge(first, then, (1, 2))
    for one, other in zip(merged.total, server.call("merge", [*first.total, *then.total], (1, 2)), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
