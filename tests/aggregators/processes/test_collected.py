"""What every rule over collected updates has in common: who counts, what is sent, and in which order."""

import dataclasses

import numpy as np
import pytest

from fedcli.aggregators.geometric_median import GeometricMedian
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.attacks.scaled import Scaled
from fedcli.runtime.engine.traffic import communication
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.tff import TFF
from tests.aggregators.test_aggregators import process
from tests.algorithms.conftest import MODEL
from tests.runtime.conftest import SPEC, sent_bits, work

#: The last has no examples.
COUNTS = [17, 4, 9, 12, 6, 20, 3, 0]


@pytest.fixture(scope="module")
def program():
    """A round whose attackers send what no number can hold."""
    from fedcli.algorithms.base import Parts
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    parts = Parts(
        model_fn(MODEL, SPEC),
        SGD(learning_rate=0.1),
        SGD(learning_rate=1.0),
        GeometricMedian(),
        Broadcast(),
        Scaled(factor=float("inf")),
    )
    return compile_round(FedAvg().build(parts))


def played(runtime, program, counts, attackers=()):
    from fedcli.training.weights import initial_weights, with_weights

    runtime.load(program)
    state = with_weights(runtime.initial_state((0, 0)), program, initial_weights(MODEL, SPEC, 3))
    works = [work(c, 1, count) for c, count in enumerate(counts)]
    works = [dataclasses.replace(one, attacks=int(one.client) in attackers) for one in works]
    return runtime.run_round(state, works, (0, 1))


def on_local(program, counts, attackers=(), threads=2, group_size=2):
    with LocalRuntime(threads, group_size) as runtime:
        return played(runtime, program, counts, attackers)


def assert_equal(one, other):
    for ours, theirs in zip(one.state, other.state, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_neither_threads_nor_groups_change_a_number(program):
    expected = on_local(program, COUNTS, threads=1)
    assert_equal(on_local(program, COUNTS, threads=3), expected)
    # Rows are joined, not added: even the groups are all the same.
    assert_equal(on_local(program, COUNTS, group_size=5), expected)


def test_updates_without_weight_or_not_finite_are_left_out(program):
    found = on_local(program, COUNTS, attackers=(5, 6))
    # The client without examples does not report; what attackers send, the server leaves aside.
    assert found.left_out == ["7"]
    assert found.metrics["aggregator/left_out"] == 2
    honest = on_local(program, COUNTS[:5])
    assert honest.metrics["aggregator/left_out"] == 0
    assert_equal(found, honest)


@pytest.mark.parametrize("counts", [[0, 0], []])
def test_without_an_update_that_counts_the_model_stays(program, counts):
    found = on_local(program, counts)
    assert len(found.left_out) == len(counts)
    assert found.metrics["aggregator/left_out"] == 0
    before = on_local(program, [17], attackers=(0,))
    assert_equal(found, before)
    assert all(np.isfinite(tensor).all() for tensor in found.state)


def test_tffs_runtime_agrees(program, tmp_path):
    ours = on_local(program, COUNTS, attackers=(5,))
    with TFF().start(tmp_path / "run.log") as runtime:
        theirs = played(runtime, program, COUNTS, attackers=(5,))
    for mine, other in zip(ours.state, theirs.state, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-6)
    for name, value in ours.metrics.items():
        assert value == pytest.approx(theirs.metrics[name], rel=1e-5), name


@pytest.mark.parametrize("name", ["geometric_median", "coordinate_median", "trimmed_mean", "krum"])
def test_bits_are_those_of_the_mean(name):
    def sent(name, weighted):
        return communication(process(name, weighted=weighted).next)

    assert sent(name, True) == sent("mean", True)
    # By the mean without weights, the server counts clients by a number of each.
    mean = sent("mean", False)
    assert sent(name, False) == dataclasses.replace(mean, aggregated_bits=mean.aggregated_bits - 32)


def test_what_work_returns_is_what_is_counted(program):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    server = ServerSession(program)
    broadcast = server.call("prepare", server.call("initialize", (), (0,)), (0,))
    session = ClientSession(program)
    sent = session.update(work(0, 1), session.receive(broadcast))
    metrics = 32 * 4 + 64 * 2  # sums of loss, accuracy and their targets, examples and batches
    assert sent_bits(program, sent) == program.communication.aggregated_bits
    assert program.communication.aggregated_bits == 32 * (36 * 4 + 4 + 1) + metrics
