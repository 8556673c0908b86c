"""SCAFFOLD against its formulas in NumPy."""

import dataclasses

import numpy as np
import pytest

from fedcli.algorithms.scaffold import Scaffold
from fedcli.errors import ConfigError
from fedcli.optimizers.adam import Adam
from fedcli.optimizers.sgd import SGD
from tests.algorithms.conftest import MODEL
from tests.algorithms.softmax import Model, batches, mean
from tests.runtime.conftest import SPEC, sent_bits, work

NUM_CLIENTS = 5
SIZES = [17, 4, 9, 12, 0]
SAMPLED = [[0, 1, 2], [2, 3, 0], [4, 0], [1, 4, 2]]


class InMemory:
    """What one client keeps."""

    def __init__(self, compiled):
        self.tensors = [np.zeros(leaf.shape, leaf.dtype) for leaf in compiled.kept]

    def read(self):
        return self.tensors

    def write(self, tensors):
        self.tensors = tensors


@pytest.fixture(scope="module")
def program(compiled):
    return compiled(Scaffold(), SGD(learning_rate=0.1), SGD(learning_rate=0.8))


def play(program, threads=2):
    """Plays rounds with the clients of `SAMPLED`; yields each round's clients, models, and what clients keep."""
    from fedcli.runtime.local import LocalRuntime
    from fedcli.training.weights import initial_weights, with_num_clients, with_weights

    kept = [InMemory(program) for _ in range(NUM_CLIENTS)]
    with LocalRuntime(threads, 2) as runtime:
        runtime.load(program)
        state = with_weights(runtime.initial_state((0, 0)), program, initial_weights(MODEL, SPEC, 3))
        state = with_num_clients(state, program, NUM_CLIENTS)
        for number, clients in enumerate(SAMPLED, 1):
            works = [dataclasses.replace(work(c, number, SIZES[c]), kept=kept[c]) for c in clients]
            before = Model.of(program, state)
            state = runtime.run_round(state, works, (0, number)).state
            data = {c: batches(c, w, SIZES[c]) for c, w in zip(clients, works, strict=True)}
            yield data, before, state, [Model(*one.tensors) for one in kept]


def test_rounds_agree_with_numpy(program):
    own, common = None, None
    for data, before, state, kept in play(program):
        if own is None:
            own, common = [before.zero] * NUM_CLIENTS, before.zero
        models, changes = [], []
        for client, its_batches in data.items():
            model = before
            for batch in its_batches:
                model -= 0.1 * (model.gradient(batch) - own[client] + common)
            if its_batches:
                new = own[client] - common + (1 / (0.1 * len(its_batches))) * (before - model)
                changes.append(new - own[client])
                own[client] = new
            models.append(model)
        for change in changes:
            common += (1 / NUM_CLIENTS) * change
        Model.of(program, state).assert_close(before + 0.8 * (mean(models) - before), rtol=2e-4, atol=2e-6)
        for ours, theirs in zip(kept, own, strict=True):
            ours.assert_close(theirs, rtol=1e-3, atol=1e-5)
        variate = [value for leaf, value in zip(program.state, state, strict=True) if "/variate/" in leaf.path]
        Model(*variate).assert_close(common, rtol=1e-3, atol=1e-5)


def test_numbers_do_not_depend_on_threads(program):
    for (_, _, one, kept), (_, _, other, also_kept) in zip(play(program, 1), play(program, 3), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        for a, b in zip(kept, also_kept, strict=True):
            a.assert_close(b, rtol=0, atol=0)


def test_what_work_returns_is_what_is_counted(program):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    server = ServerSession(program)
    broadcast = server.call("prepare", server.call("initialize", (), (0,)), (0,))
    client = dataclasses.replace(work(0, 1), kept=InMemory(program))
    sent = ClientSession(program).update(client, broadcast)
    assert sum(8 * np.asarray(tensor).nbytes for tensor in broadcast) == program.communication.broadcasted_bits
    assert sent_bits(program, sent) == program.communication.aggregated_bits


@pytest.mark.parametrize("optimizer", [Adam(), SGD(momentum=0.9)])
def test_other_steps_than_plain_ones_are_refused(optimizer):
    with pytest.raises(ConfigError, match="plain SGD"):
        Scaffold().check_optimizer(optimizer)


def test_the_cache_keeps_what_clients_keep(program, tmp_path):
    from fedcli.runtime.engine.round_cache import RoundCache

    RoundCache(tmp_path).store("key", program)
    loaded = RoundCache(tmp_path).load("key")
    assert loaded is not None
    assert (loaded.kept, loaded.changes_of_kept) == (program.kept, program.changes_of_kept)
    assert len(program.kept) == len(program.changes_of_kept) == 2
