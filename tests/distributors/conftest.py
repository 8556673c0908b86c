"""Federated averaging of a small model with any distributor, compiled once for each."""

import functools

import numpy as np
import pytest

from fedcli.models.mlp import MLP
from tests.runtime.conftest import SPEC, work

MODEL = MLP(hidden_units=[30])  # the first layer has 36 * 30 numbers


@pytest.fixture(scope="session")
def compiled():
    """A function from a distributor to the compiled FedAvg round of `MODEL`."""
    from fedcli.aggregators.mean import Mean
    from fedcli.algorithms.base import Parts
    from fedcli.algorithms.fed_avg import FedAvg
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    @functools.cache
    def build(distributor):
        sgd = SGD(learning_rate=0.1), SGD(learning_rate=1.0)
        return compile_round(FedAvg().build(Parts(model_fn(MODEL, SPEC), *sgd, Mean(), distributor)))

    return build


def first_state(server, program, seed=0):
    """Makes the first state as a run does; `server` is a runtime or a server session."""
    from fedcli.runtime.engine.sessions import ServerSession
    from fedcli.training.weights import initial_weights, with_seed, with_weights

    state = server.call("initialize", (), (0,)) if isinstance(server, ServerSession) else server.initial_state((0, 0))
    return with_seed(with_weights(state, program, initial_weights(MODEL, SPEC, seed)), program, seed)


@pytest.fixture
def play():
    """Runs rounds and returns the last state and each round's metrics."""

    def run(runtime, program, rounds=3, clients=4, seed=0):
        runtime.load(program)
        state = first_state(runtime, program, seed)
        metrics = []
        for round in range(1, rounds + 1):
            result = runtime.run_round(state, [work(c, round, seed=seed) for c in range(clients)], (seed, round))
            state = result.state
            metrics.append({name: np.asarray(value).item() for name, value in result.metrics.items()})
        return state, metrics

    return run
