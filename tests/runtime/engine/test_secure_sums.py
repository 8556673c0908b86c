"""Secure sums against Python's own integers, which have no width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MODULUS = 2**20 - 1


@pytest.fixture(scope="module")
def summed():
    """A function that sums rows of clients as the engine does: a float, and one secure sum of each kind."""
    import tensorflow as tf

    from fedcli.runtime.engine.compiled import Leaf, Part
    from fedcli.runtime.engine.secure_sums import SecureSum, with_secure_sums

    def part(shares):
        """Adds one float, the part's own."""
        with tf.Graph().as_default() as graph:
            given = [tf.compat.v1.placeholder(tf.float32, [], f"own_{index}") for index in range(shares)]
            out = tf.add_n(given, "out") if given else tf.zeros([], name="out")
        return Part(graph.as_graph_def(), tuple(x.name for x in given), (out.name,), "")

    sums = [
        SecureSum(Leaf("bits", np.dtype(np.int64), (2,)), 2**32 - 1),
        SecureSum(Leaf("most", np.dtype(np.int32), ()), 1000),
        SecureSum(Leaf("modular", np.dtype(np.int32), (2,)), MODULUS - 1, MODULUS),
    ]
    own = {"zero": part(0), "accumulate": part(2), "merge": part(2), "report": part(1), "update": part(1)}
    parts = with_secure_sums(own, sums)
    assert parts["update"] is own["update"]
    assert [one.bits for one in sums] == [2 * 32, 10, 2 * 20]
    calls = {}
    for name, one in parts.items():
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(one.graph, name="")
            session = tf.compat.v1.Session(graph=graph)
            calls[name] = session.make_callable(list(one.outputs), feed_list=list(one.inputs))

    def run(groups):
        total = None
        for group in groups:
            branch = calls["zero"]()
            for client in group:
                branch = calls["accumulate"](*branch, *client)
            total = branch if total is None else calls["merge"](*total, *branch)
        return calls["report"](*total)

    return run


clients = st.lists(
    st.tuples(
        st.just(np.float32(1)),
        st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=2),
        st.integers(0, 1000),
        st.lists(st.integers(-(2**30), 2**30), min_size=2, max_size=2),
    ),
    min_size=1,
    max_size=8,
)


@given(clients, st.integers(1, 8))
@settings(deadline=None, max_examples=60)
def test_sums_are_those_of_integers_in_any_groups(summed, rows, group_size):
    found = summed([rows[start : start + group_size] for start in range(0, len(rows), group_size)])
    assert found[0] == len(rows)
    assert [int(x) for x in found[1]] == [sum(column) for column in zip(*(row[1] for row in rows), strict=True)]
    assert int(found[2]) == sum(row[2] for row in rows)
    assert [int(x) for x in found[3]] == [
        sum(column) % MODULUS for column in zip(*(row[3] for row in rows), strict=True)
    ]


@pytest.mark.parametrize("bad", [(1, [0, 2**32], 0, [0, 0]), (1, [-1, 0], 0, [0, 0]), (1, [0, 0], 1001, [0, 0])])
def test_a_number_without_room_ends_the_round(summed, bad):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match="as a secure sum needs them"):
        summed([[bad]])
