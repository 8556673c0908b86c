"""A small federated problem, compiled once for each aggregator."""

import dataclasses
import functools

import numpy as np
import pytest

from fedcli.datasets.base import DataSpec, Examples
from fedcli.runtime.round import ClientWork
from fedcli.runtime.tensorflow_settings import set_up_tensorflow
from fedcli.training.sampling import ExampleOrder, seed_words

set_up_tensorflow()

SPEC = DataSpec("image", (6, 6, 1), "float32", (), 4, 5)


def examples(client: int | str, count: int) -> Examples:
    rng = np.random.default_rng(int(client))
    x = rng.random((count, 6, 6, 1), dtype=np.float32)
    return Examples(x, (x.mean((1, 2, 3)) * 4).astype(np.int32))


def work(client: int, round: int, count: int = 17, batch_size: int = 5, seed: int = 0) -> ClientWork:
    return ClientWork(
        client=str(client),
        read=functools.partial(examples, count=count),
        order=ExampleOrder(
            seed_words(seed, "examples", round, client),
            epochs=2,
            batch_size=batch_size,
            max_batches=None,
            drop_remainder=False,
        ),
        batch_size=batch_size,
        seed=(seed, 1000 * round + client),
    )


def broken_work(client: int) -> ClientWork:
    """Returns the work of a client with an input that is not a number, so that its update is not finite."""
    honest = work(client, 1)

    def read(name):
        data = honest.read(name)
        data.x[0] = np.nan
        return data

    return dataclasses.replace(honest, read=read)


def sent_bits(program, sent) -> int:
    """Counts the bits of what a client's work gives, but for whether it reports, which is not sent."""
    return sum(8 * np.asarray(tensor).nbytes for place, tensor in enumerate(sent) if place != program.reports)


@pytest.fixture(scope="session")
def compiled():
    """A function from an aggregator (and model, distributor and attack) to the compiled FedAvg round."""
    from fedcli.aggregators import aggregators
    from fedcli.algorithms.base import Parts
    from fedcli.algorithms.fed_avg import FedAvg
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.models.mlp import MLP
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    @functools.cache
    def build(aggregator="mean", weighted=True, model=None, spec=SPEC, distributor=None, attack=None):
        # Compression leaves tensors of up to 20,000 numbers alone: one of these layers has 36 * 600.
        model = model or MLP(hidden_units=(600,) if aggregator == "compression" else (8,))
        parts = Parts(
            model_fn(model, spec),
            SGD(learning_rate=0.1),
            SGD(learning_rate=1.0),
            aggregators[aggregator](),
            distributor or Broadcast(),
            attack,
        )
        return compile_round(FedAvg(weighted=weighted).build(parts))

    return build


@pytest.fixture
def play():
    """Runs rounds and returns the last state and each round's metrics."""
    from fedcli.training.weights import initial_weights, with_weights

    def run(runtime, compiled, model, rounds=3, clients=5, spec=SPEC, seed=0):
        runtime.load(compiled)
        state = with_weights(runtime.initial_state((0, 0)), compiled, initial_weights(model, spec, seed))
        metrics = []
        for round in range(1, rounds + 1):
            result = runtime.run_round(state, [work(c, round, seed=seed) for c in range(clients)], (seed, round))
            state = result.state
            metrics.append({name: np.asarray(value).item() for name, value in result.metrics.items()})
        return state, metrics

    return run
