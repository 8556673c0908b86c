"""Secure aggregation against NumPy."""

import math

import numpy as np
import pytest

from fedcli.aggregators.secure import Secure
from fedcli.algorithms.fed_avg import FedAvg
from tests.algorithms.conftest import compiled as compiled
from tests.algorithms.conftest import play as play
from tests.algorithms.softmax import Model, mean
from tests.runtime.conftest import SPEC, work


@pytest.fixture(scope="module")
def program(compiled):
    return compiled(FedAvg(), aggregator=Secure(zeroing=False))


def test_a_round_agrees_with_numpy(program, play):
    """Clipped to a norm of 1 at first, weighted, quantized to 2^32 levels from -50 x 2 to 50 x 2, summed, divided."""
    (round,) = play(program)
    step = 200 / (2**32 - 1)
    levels, deltas = [], []
    for client, size in zip(round.batches, round.sizes, strict=True):
        model = round.before
        for batch in client:
            model -= 0.1 * model.gradient(batch)
        delta = model - round.before
        delta = min(1.0, 1.0 / math.sqrt((delta.kernel**2).sum() + (delta.bias**2).sum())) * delta
        deltas.append(delta)
        levels.append((size * delta).map(lambda x: np.rint(np.clip(x, -100, 100) / step)))
    total = sum(levels, start=round.before.zero)
    expected = (step / sum(round.sizes)) * total
    (round.after - round.before).assert_close(expected, rtol=1e-4, atol=1e-6)
    # Quantization costs little: the weighted mean of what is not quantized.
    expected.assert_close(mean(deltas, round.sizes), rtol=0, atol=step)


def test_the_servers_sum_is_that_of_the_integers_that_clients_send(program, play):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    (round,) = play(program)
    server, client = ServerSession(program), ClientSession(program)
    state = server.call("initialize", (), (0,))
    received = client.receive(server.call("prepare", state, (0,)))
    sent = [[np.asarray(x) for x in client.update(one, received)] for one in round.works]
    total = None
    for one in round.works:
        summed = client.summed(one, received)
        total = summed if total is None else server.merge(total, summed, (0,))
    reported = server.call("report", total.total, (0,))
    for place in range(6, len(sent[0])):
        exact = [sum(int(x) for x in numbers) for numbers in zip(*(one[place].ravel() for one in sent), strict=True)]
        assert np.asarray(reported[place]).ravel().tolist() == exact
    assert max(x.max() for x in sent[0][7:]) > 2**31  # what 32-bit sums would have lost
    assert Model.of(program, state).kernel.shape == (36, 4)


def test_rounds_are_the_same_bit_for_bit_whatever_the_threads_and_groups(program):
    """Sums of floats are not: see tests/runtime/test_local.py's test_groups_change_only_the_last_bits."""
    from fedcli.runtime.local import LocalRuntime

    states = []
    for threads, group_size in ((1, 1), (2, 2), (2, 100)):
        with LocalRuntime(threads, group_size) as runtime:
            runtime.load(program)
            state = runtime.initial_state((0, 0))
            for number in (1, 2):
                state = runtime.run_round(state, [work(client, number) for client in range(5)], (0, number)).state
            states.append(state)
    for other in states[1:]:
        for leaf, a, b in zip(program.state, states[0], other, strict=True):
            assert np.array_equal(a, b), leaf.path


def test_what_a_client_sends_is_counted_in_bits(program):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    server, client = ServerSession(program), ClientSession(program)
    broadcast = server.call("prepare", server.call("initialize", (), (0,)), (0,))
    sent = [np.asarray(x) for x in client.update(work(0, 1), client.receive(broadcast))]
    assert program.reports == 6
    metrics, secure = sent[:6], sent[7:]
    assert all(x.min() >= 0 and x.max() < 2**32 for x in secure)
    # Numbers of 32 bits: the model's, the weight, and two for each of the norm and the range that are estimated. Of one
    # bit, ten counts of clients: all, those clipped, and those out of a range.
    numbers, flags = SPEC.num_classes * 36 + SPEC.num_classes + 1 + 2 * 2, 10
    assert numbers == sum(x.size for x in secure if x.dtype == np.int64)
    assert flags == sum(x.size for x in secure if x.dtype == np.int32)
    assert program.communication.aggregated_bits == 8 * sum(x.nbytes for x in metrics) + 32 * numbers + flags
