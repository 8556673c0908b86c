"""A round of any algorithm with softmax regression on tiny data, compiled once for each."""

import functools

import numpy as np
import pytest

from fedcli.models.mlp import MLP
from tests.algorithms.softmax import Model, batches
from tests.runtime.conftest import SPEC, work

MODEL = MLP(hidden_units=[])
COUNTS = [17, 4, 9]


@pytest.fixture(scope="session")
def compiled():
    """A function from an algorithm and its optimizers to its compiled round; cached as long as the tests run."""
    from fedcli.aggregators.mean import Mean
    from fedcli.algorithms.base import Parts
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    default = SGD(learning_rate=0.1), SGD(learning_rate=1.0), Mean(), Broadcast()

    @functools.cache
    def build(algorithm, client=default[0], server=default[1], aggregator=default[2], distributor=default[3]):
        return compile_round(algorithm.build(Parts(model_fn(MODEL, SPEC), client, server, aggregator, distributor)))

    return build


class Round:
    """One round of three clients, by `runtime=local`, and what the reference needs to compute the same."""

    def __init__(self, compiled, runtime, state, number=1, counts=COUNTS):
        self.works = [work(client, number, count) for client, count in enumerate(counts)]
        self.batches = [batches(c, w, count) for c, (w, count) in enumerate(zip(self.works, counts, strict=True))]
        # Each of `work`'s two epochs counts.
        self.sizes = [2 * count for count in counts]
        self.before = Model.of(compiled, state)
        self.result = runtime.run_round(state, self.works, (0, number))
        self.state = self.result.state
        self.after = Model.of(compiled, self.state)


@pytest.fixture
def play():
    """Runs rounds of a compiled algorithm; the first model is random."""
    from fedcli.runtime.local import LocalRuntime
    from fedcli.training.weights import initial_weights, with_weights

    def run(compiled, rounds=1, threads=2, counts=COUNTS):
        played = []
        with LocalRuntime(threads, 2) as runtime:
            runtime.load(compiled)
            state = with_weights(runtime.initial_state((0, 0)), compiled, initial_weights(MODEL, SPEC, 3))
            for number in range(1, rounds + 1):
                played.append(Round(compiled, runtime, state, number, counts))
                state = played[-1].state
        return played

    return run


def metrics_of(result):
    return {name: np.asarray(value).item() for name, value in result.metrics.items()}
