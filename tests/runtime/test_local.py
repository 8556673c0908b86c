import dataclasses
import pickle

import numpy as np
import pytest

from fedcli.errors import ConfigError
from fedcli.models.mlp import MLP
from fedcli.runtime.local import Local, LocalRuntime
from tests.runtime.conftest import SPEC, broken_work, examples, work


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("aggregator", ["mean", "compression"])
def test_numbers_do_not_depend_on_threads(compiled, play, aggregator):
    model = MLP(hidden_units=(600,) if aggregator == "compression" else (8,))
    runs = []
    for threads in (1, 2, 4):
        with LocalRuntime(threads, 2) as runtime:
            runs.append(play(runtime, compiled(aggregator), model))
    (state, metrics), *others = runs
    for other_state, other_metrics in others:
        assert same(state, other_state)
        assert metrics == other_metrics


def test_random_rounding_follows_the_seed(compiled):
    clients = [work(c, 1) for c in range(3)]
    reseeded = [work(c, 1, seed=0) for c in range(2)] + [ClientWithSeed(work(2, 1), (9, 9))]
    with LocalRuntime(1, 10) as runtime:
        runtime.load(compiled("compression"))
        state = runtime.initial_state((0, 0))
        once, again, other = (
            runtime.run_round(
                state, [c if not isinstance(c, ClientWithSeed) else c.work() for c in these], (0, 0)
            ).state
            for these in (clients, clients, reseeded)
        )
    assert same(once, again)
    assert not same(once, other)


class ClientWithSeed:
    def __init__(self, client, seed):
        self._client, self._seed = client, seed

    def work(self):
        from dataclasses import replace

        return replace(self._client, seed=self._seed)


def test_the_next_runtime_of_a_round_uses_the_sessions_of_the_last(compiled, play, monkeypatch):
    from fedcli.runtime.engine import sessions

    model = MLP(hidden_units=(8,))
    with LocalRuntime(1, 2) as runtime:
        first = play(runtime, compiled(), model)
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "ClientSession", None)
        patch.setattr(sessions, "ServerSession", None)
        with LocalRuntime(1, 2) as runtime:
            second = play(runtime, compiled(), model)
    assert same(first[0], second[0])
    assert first[1] == second[1]


def test_two_runtimes_at_once_share_no_session(compiled):
    with LocalRuntime(1, 2) as runtime, LocalRuntime(1, 2) as other:
        runtime.load(compiled())
        other.load(compiled())
        sessions = {id(one._server) for one in (runtime, other)}
        sessions |= {id(one._pool.submit(one._sessions.get).result()) for one in (runtime, other)}
    assert len(sessions) == 4


def test_groups_change_only_the_last_bits(compiled, play):
    model = MLP(hidden_units=(8,))
    states = []
    for group_size in (1, 2, 100):
        with LocalRuntime(2, group_size) as runtime:
            states.append(play(runtime, compiled(), model, rounds=1)[0])
    for state in states[1:]:
        for a, b in zip(states[0], state, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weighted", [True, False])
def test_a_round_agrees_with_numpy(compiled, weighted):
    """One round of FedAvg with a linear model, computed by hand."""
    model = MLP(hidden_units=())
    counts = [17, 4, 9]
    clients = [work(c, 1, count) for c, count in enumerate(counts)]
    with LocalRuntime(2, 2) as runtime:
        program = compiled(weighted=weighted, model=model)
        runtime.load(program)
        state = runtime.initial_state((0, 0))
        result = runtime.run_round(state, clients, (0, 0))
    where = program.model_weights()[0]
    kernel, bias = (state[i].astype(np.float64) for i in where)
    deltas, losses = [], []
    for c, count in enumerate(counts):
        data = examples(c, count)
        order = clients[c].order(count)
        k, b = kernel.copy(), bias.copy()
        for start in range(0, len(order), 5):
            batch = order[start : start + 5]
            x = data.x[batch].reshape(len(batch), -1).astype(np.float64)
            logits = x @ k + b
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            losses.extend(-np.log(p[np.arange(len(batch)), data.y[batch]]))
            p[np.arange(len(batch)), data.y[batch]] -= 1
            k -= 0.1 * x.T @ p / len(batch)
            b -= 0.1 * p.mean(0)
        deltas.append((k - kernel, b - bias))
    weights = np.array([2 * count for count in counts]) if weighted else np.ones(3)
    for index, before, position in ((where[0], kernel, 0), (where[1], bias, 1)):
        step = sum(w * delta[position] for w, delta in zip(weights, deltas, strict=True)) / weights.sum()
        np.testing.assert_allclose(result.state[index], before + step, rtol=1e-4, atol=1e-6)
    assert result.metrics["client_work/train/loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert result.metrics["client_work/train/num_examples"] == 2 * sum(counts)


def test_a_client_without_examples_changes_nothing(compiled):
    with LocalRuntime(2, 10) as runtime:
        runtime.load(compiled())
        state = runtime.initial_state((0, 0))
        with_empty = runtime.run_round(state, [work(0, 1), work(1, 1, count=0)], (0, 0))
        without = runtime.run_round(state, [work(0, 1)], (0, 0))
    assert same(with_empty.state, without.state)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("aggregator", ["mean", "compression"])
def test_a_client_whose_update_is_not_finite_changes_nothing(compiled, aggregator, weighted):
    program = compiled(aggregator, weighted)
    with LocalRuntime(2, 10) as runtime:
        runtime.load(program)
        state = runtime.initial_state((0, 0))
        with_broken = runtime.run_round(state, [work(0, 1), broken_work(1), work(2, 1)], (0, 0))
        without = runtime.run_round(state, [work(0, 1), work(2, 1)], (0, 0))
    assert same(with_broken.state, without.state)
    assert with_broken.metrics == without.metrics
    assert (with_broken.left_out, without.left_out) == (["1"], [])


def test_groups_with_broken_clients_are_summed_alike_on_a_worker(compiled):
    """`runtime=ray` sums groups of clients in the same order, whoever of them is left out."""
    from fedcli.runtime.cluster.messages import Client, Setup
    from fedcli.runtime.cluster.worker import Worker
    from fedcli.runtime.engine.sessions import ServerSession

    program = compiled("mean", False)
    works = [broken_work(c) if c in (1, 2, 3, 5) else work(c, 1) for c in range(7)]
    with LocalRuntime(1, 2) as runtime:
        runtime.load(program)
        state = runtime.initial_state((0, 0))
        expected = runtime.run_round(state, works, (0, 0))
    worker = Worker(pickle.dumps(Setup({}, pickle.dumps(dataclasses.replace(program, source=None)), None)))
    server = ServerSession(program)
    broadcast = server.call("prepare", state, (0, 0))
    groups = [
        pickle.dumps(
            [Client(w.client, w.order, w.batch_size, w.seed, w.read(w.client), False) for w in works[i : i + 2]]
        )
        for i in range(0, 7, 2)
    ]
    sums = [worker.train(1, broadcast, (0, 0), group) for group in groups]
    total = worker.merged((0, 0), [worker.merged((0, 0), sums[:2]), worker.merged((0, 0), sums[2:])])
    assert total.left_out == expected.left_out == ["1", "2", "3", "5"]
    assert sums[1].total is None
    found = server.finish(state, total, (0, 0))
    assert same(found.state, expected.state)
    assert found.metrics == expected.metrics


def test_an_error_of_a_client_reaches_the_caller(compiled):
    def broken(client):
        raise ConfigError("no such client")

    from dataclasses import replace

    with LocalRuntime(2, 10) as runtime:
        runtime.load(compiled())
        state = runtime.initial_state((0, 0))
        clients = [work(0, 1), replace(work(1, 1), read=broken), *(work(c, 1) for c in range(2, 8))]
        with pytest.raises(ConfigError, match="no such client"):
            runtime.run_round(state, clients, (0, 0))
        runtime.run_round(state, [work(0, 1)], (0, 0))  # it can go on


def test_problems_name_the_fields():
    assert [field for field, _ in Local(threads=0, group_size=0).problems()] == ["threads", "group_size"]
    assert not list(Local().problems())


def test_memory_does_not_hold_all_updates(compiled):
    """Few clients are ahead of the one whose sum is taken: at most the last eight, which may begin in any order."""
    running, most = [0], [0]

    def counting(client):
        inner = work(client, 1)

        def read(client):
            running[0] += 1
            most[0] = max(most[0], running[0])
            return inner.read(client)

        from dataclasses import replace

        return replace(inner, read=read)

    with LocalRuntime(2, 10) as runtime:
        runtime.load(compiled())
        state = runtime.initial_state((0, 0))

        def summed(of):
            # The first client's sum is what the others are merged into, until the round is finished.
            def call(*arguments):
                running[0] -= 1
                return of(*arguments)

            return call

        runtime._server.merge = summed(runtime._server.merge)
        runtime._server.finish = summed(runtime._server.finish)
        runtime.run_round(state, [counting(c) for c in range(40)], (0, 0))
    assert running[0] == 0
    assert most[0] <= 12
    assert SPEC.num_classes == 4


def test_the_last_clients_begin_with_the_longest_and_sum_in_their_order(compiled):
    counts = {"0": 3, "1": 4, "2": 9, "3": 5, "4": 12, "5": 1}
    began = []

    def read(client):
        began.append(client)
        return examples(client, counts[client])

    def clients(size):
        return [dataclasses.replace(work(int(client), 1), read=read, size=size) for client in counts]

    states = []
    for size in (counts.__getitem__, None):
        with LocalRuntime(1, 10) as runtime:
            runtime.load(compiled("mean"))
            states.append(runtime.run_round(runtime.initial_state((0, 0)), clients(size), (0, 0)).state)
    # One thread lets four clients begin in another order.
    assert began == ["0", "1", "4", "2", "3", "5", *counts]
    assert same(*states)
