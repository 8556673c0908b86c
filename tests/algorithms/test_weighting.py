"""What clients count by, on text whose sequences are padded."""

import dataclasses
import functools
from typing import ClassVar

import numpy as np
import pytest

from fedcli.aggregators.mean import Mean
from fedcli.algorithms import algorithms
from fedcli.algorithms.base import Parts
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.weighting import WeightedAlgorithm
from fedcli.datasets.base import PADDING, DataSpec, Examples
from fedcli.distributors.broadcast import Broadcast
from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from fedcli.optimizers.sgd import SGD
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.round import ClientWork
from fedcli.training.sampling import ExampleOrder
from fedcli.training.weights import weights_of

TINY = ["model=mlp", "model.hidden_units=[8]"]
SPEC = DataSpec("text", (4,), "int32", (4,), 5, 2)
#: Sequences of each client, and how many targets each of them has.
CLIENTS = {"long": (3, 4), "short": (6, 1), "mixed": (5, None)}
TARGETS = {"long": 12, "short": 6, "mixed": 3 * 4 + 2 * 1}


@dataclasses.dataclass(frozen=True)
class Bigrams(ModelConfig):
    """A layer of numbers for each character, and one from these to the next character's logits."""

    kind: ClassVar[str] = "text"
    name: str = "bigrams"

    def build(self, spec):
        import tensorflow as tf

        layers = tf.keras.layers
        start = tf.keras.initializers.RandomUniform(seed=1)
        return tf.keras.Sequential(
            [
                layers.InputLayer(spec.x_shape, dtype=spec.x_dtype),
                layers.Embedding(spec.num_classes, 3, embeddings_initializer=start),
                layers.Dense(spec.num_classes, kernel_initializer=start),
            ]
        )


def read(client):
    sequences, targets = CLIENTS[client]
    rng = np.random.default_rng(sequences)
    x, y = rng.integers(0, 5, (2, sequences, 4)).astype(np.int32)
    for row, sequence in enumerate(y):
        sequence[(4 if row % 2 == 0 else 1) if targets is None else targets :] = PADDING
    return Examples(x, y)


def work(client, batch_size=2):
    return ClientWork(client, read, ExampleOrder((0, 0), 1, batch_size, None, False), batch_size, (0, 0))


@functools.cache
def compiled(name, weighted_by):
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    keys = {"support": "same"} if name == "fed_recon" else {}
    client = SGD(learning_rate=0.5, momentum=0.9 if name == "mime_lite" else 0.0)
    parts = Parts(model_fn(Bigrams(), SPEC), client, SGD(learning_rate=1.0), Mean(), Broadcast())
    return compile_round(algorithms[name](name=name, weighted_by=weighted_by, **keys).build(parts))


def change(program, *works):
    """How far a round of these clients moves the model, all numbers in one vector; and the round's metrics."""
    with LocalRuntime(1, 2) as runtime:
        runtime.load(program)
        state = runtime.initial_state((0, 0))
        result = runtime.run_round(state, works, (0, 1))
    before, after = (np.concatenate([x.ravel() for x in weights_of(s, program)]) for s in (state, result.state))
    return after - before, result.metrics


@pytest.mark.parametrize("name", ["fed_avg", "fed_prox", "fed_recon", "fed_sgd", "mime_lite"])
def test_a_client_counts_by_its_targets(name):
    program = compiled(name, "tokens")
    alone = [change(program, work(client))[0] for client in CLIENTS]
    together, metrics = change(program, *map(work, CLIENTS))
    assert np.abs(together).max() > 1e-3
    expected = np.average(alone, axis=0, weights=list(TARGETS.values()))
    np.testing.assert_allclose(together, expected, rtol=1e-4, atol=1e-6)
    # The metric goes on to count examples.
    assert metrics["client_work/train/num_examples"] == 14


def test_by_default_a_client_counts_by_its_sequences():
    program = compiled("fed_sgd", None)
    alone = [change(program, work(client))[0] for client in CLIENTS]
    expected = np.average(alone, axis=0, weights=[3, 6, 5])
    np.testing.assert_allclose(change(program, *map(work, CLIENTS))[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weighted_by", [None, "tokens"])
def test_the_gradient_of_fed_sgd_does_not_depend_on_the_batch_size(weighted_by):
    program = compiled("fed_sgd", weighted_by)
    whole = change(program, work("mixed", 5))[0]
    assert np.abs(whole).max() > 1e-3
    for batch_size in (1, 2, 3):
        np.testing.assert_allclose(change(program, work("mixed", batch_size))[0], whole, rtol=1e-4, atol=1e-6)


def test_the_gradient_that_mime_lite_shares_does_not_depend_on_the_batch_size():
    program = compiled("mime_lite", "tokens")
    where = [i for i, leaf in enumerate(program.state) if "accumulator" in leaf.path]
    assert len(where) == 3
    momenta = []
    for batch_size in (1, 2, 5):
        with LocalRuntime(1, 2) as runtime:
            runtime.load(program)
            state = runtime.run_round(runtime.initial_state((0, 0)), [work("mixed", batch_size)], (0, 1)).state
        momenta.append([state[i] for i in where])
    for momentum in momenta[1:]:
        for one, other in zip(momentum, momenta[0], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("keys", "weighting"),
    [
        ({}, "examples"),
        ({"weighted": True}, "examples"),
        ({"weighted": False}, "uniform"),
        ({"weighted_by": "tokens"}, "tokens"),
        ({"weighted_by": "tokens", "weighted": True}, "tokens"),
        ({"weighted_by": "uniform"}, "uniform"),
        ({"weighted_by": "uniform", "weighted": False}, "uniform"),
    ],
)
def test_both_keys_say_what_clients_count_by(keys, weighting):
    algorithm = FedAvg(**keys)
    assert not list(algorithm.problems())
    assert algorithm.weighted_by == weighting
    assert algorithm.weighted == algorithm.counts_by_weight == (weighting != "uniform")
    # A run that was made with one key is resumed with the other.
    assert algorithm == FedAvg(weighted_by=weighting)


@pytest.mark.parametrize("name", [n for n, a in algorithms.components.items() if issubclass(a, WeightedAlgorithm)])
@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"weighted": True, "weighted_by": "uniform"}, "weighted"),
        ({"weighted": False, "weighted_by": "tokens"}, "weighted"),
        ({"weighted": False, "weighted_by": "examples"}, "weighted"),
        ({"weighted_by": "clients"}, "weighted_by"),
    ],
)
def test_contradictions_are_refused(name, keys, field):
    algorithm = algorithms[name](name=name, **keys)
    assert [key for key, _ in algorithm.problems()] == [field]
    with pytest.raises(ConfigError, match=f"algorithm.{field}="):
        _ = algorithm.counts_by_weight


def test_a_changed_copy_does_not_count_by_the_old_key():
    with pytest.raises(ConfigError, match=r"contradicts algorithm\.weighted_by=examples"):
        _ = dataclasses.replace(FedAvg(), weighted=False).counts_by_weight


def test_two_lines_say_what_to_do(train):
    for keys, said, hint in (
        (
            ["algorithm.weighted=true", "algorithm.weighted_by=uniform"],
            "algorithm.weighted=true: contradicts",
            "set it",
        ),
        (["aggregator=ddp", "algorithm.weighted_by=tokens"], "must count the same", "algorithm.weighted_by=uniform"),
        (["aggregator=ddp"], "must count the same", "algorithm.weighted=false"),
    ):
        lines = train(*keys, code=2).stderr.strip().splitlines()
        assert len(lines) == 2
        assert said in lines[0]
        assert hint in lines[1]
