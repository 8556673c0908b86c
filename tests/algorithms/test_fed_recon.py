"""Federated Reconstruction against its formulas in NumPy."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from fedcli.aggregators.mean import Mean
from fedcli.algorithms.base import Parts
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_recon import FedRecon
from fedcli.datasets.digits import Digits
from fedcli.distributors.broadcast import Broadcast
from fedcli.distributors.quantize import Quantize
from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from fedcli.models.char_rnn import CharRNN
from fedcli.models.mlp import MLP
from fedcli.optimizers.adamw import AdamW
from fedcli.optimizers.sgd import SGD
from fedcli.partitions.iid import IID
from fedcli.partitions.natural import Natural
from tests.algorithms.conftest import COUNTS, metrics_of
from tests.algorithms.dense_layers import stepped
from tests.algorithms.softmax import batches
from tests.runtime.conftest import SPEC, sent_bits, work

HIDDEN = MLP(hidden_units=(8,))
#: Where the layers' weights are.
LAYERS = {"dense": [0, 1], "dense_1": [2, 3]}
#: Learning rates of the reconstruction, the clients and the server.
RECONSTRUCTION, CLIENT, SERVER = 0.3, 0.1, 0.8


@pytest.fixture(scope="module")
def compiled():
    """A function from an algorithm (and a distributor and a server's optimizer) to its compiled round."""
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    cache = {}

    def build(algorithm, distributor=None, server=None):
        key = repr((algorithm, distributor, server))
        if key not in cache:
            optimizers = SGD(learning_rate=CLIENT), server or SGD(learning_rate=SERVER)
            parts = Parts(model_fn(HIDDEN, SPEC), *optimizers, Mean(), distributor or Broadcast())
            cache[key] = compile_round(algorithm.build(parts))
        return cache[key]

    return build


def recon(**keys):
    return FedRecon(reconstruction_learning_rate=RECONSTRUCTION, **keys)


def play(program, counts=COUNTS, threads=2, rounds=1):
    """Returns the model before the rounds and after each, the clients' batches in each, and the last metrics."""
    from fedcli.runtime.local import LocalRuntime
    from fedcli.training.weights import initial_weights, weights_of, with_weights

    with LocalRuntime(threads, 2) as runtime:
        runtime.load(program)
        state = with_weights(runtime.initial_state((0, 0)), program, initial_weights(HIDDEN, SPEC, 3))
        models, data = [weights_of(state, program)], []
        for number in range(1, rounds + 1):
            works = [work(client, number, count) for client, count in enumerate(counts)]
            result = runtime.run_round(state, works, (0, number))
            state = result.state
            models.append(weights_of(state, program))
            data.append([batches(c, w, count) for c, (w, count) in enumerate(zip(works, counts, strict=True))])
    return models, data, metrics_of(result)


@pytest.mark.parametrize(
    ("keys", "layer"),
    [
        ({}, "dense_1"),
        ({"local_layers": ("dense",), "reconstruction_epochs": 2}, "dense"),
        ({"support": "same", "weighted": False}, "dense_1"),
    ],
)
def test_two_rounds_agree_with_numpy(compiled, keys, layer):
    models, data, measured = play(compiled(recon(**keys)), rounds=2)
    local = LAYERS[layer]
    shared = [i for i in range(4) if i not in local]
    split = keys.get("support") != "same"
    for (before, after), clients in zip(pairwise(models), data, strict=True):
        updates, sizes = [], []
        for client in clients:
            support, query = (client[::2], client[1::2]) if split else (client, client)
            own = stepped(before, local, RECONSTRUCTION, support * keys.get("reconstruction_epochs", 1))
            trained = stepped(own, shared, CLIENT, query)
            updates.append([trained[i] - before[i] for i in shared])
            sizes.append(sum(len(y) for _, y in query))
        assert 0 < min(sizes) < max(sizes)
        counted = sizes if keys.get("weighted", True) else None
        for place, i in enumerate(shared):
            expected = before[i] + SERVER * np.average([update[place] for update in updates], axis=0, weights=counted)
            np.testing.assert_allclose(after[i], expected, rtol=1e-4, atol=1e-6)
        for i in local:
            assert np.array_equal(after[i], before[i])
    # Those of the reconstruction count in no metric.
    assert measured["client_work/train/num_examples"] == sum(sizes)


def test_numbers_do_not_depend_on_threads(compiled):
    program = compiled(recon())
    one, other = (play(program, threads=threads, rounds=2)[0] for threads in (1, 3))
    assert all(np.array_equal(a, b) for a, b in zip(one[-1], other[-1], strict=True))


def test_clients_with_nothing_to_train_on_change_nothing(compiled):
    """Client 1 has one batch, of which it reconstructs, in both epochs; client 2 has none."""
    program = compiled(recon())
    with_them, without = (play(program, counts) for counts in ([17, 2, 0], [17]))
    assert all(np.array_equal(a, b) for a, b in zip(with_them[0][-1], without[0][-1], strict=True))
    assert with_them[2] == without[2]


def test_a_server_optimizer_that_moves_by_itself_leaves_local_layers_alone(compiled):
    """Weight decay would change them without any update."""
    models, _, _ = play(compiled(recon(), server=AdamW(learning_rate=0.1, weight_decay=0.5)))
    for i in range(4):
        assert np.array_equal(models[0][i], models[1][i]) == (i in LAYERS["dense_1"])


def test_only_the_shared_layers_travel(compiled):
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

    program = compiled(recon())
    ours, theirs = program.communication, compiled(FedAvg()).communication
    local = 32 * (8 * 4 + 4)
    assert ours.known_bits == local
    assert ours.broadcasted_bits == theirs.broadcasted_bits - local
    assert ours.aggregated_bits == theirs.aggregated_bits - local
    # As the parts of the round really have it. Of the server's message, what clients know is there in the simulation.
    server = ServerSession(program)
    broadcast = server.call("prepare", server.call("initialize", (), (0,)), (0,))
    assert sum(8 * np.asarray(tensor).nbytes for tensor in broadcast) == ours.broadcasted_bits + local
    client = ClientSession(program)
    sent = client.update(work(0, 1), client.receive(broadcast))
    assert sent_bits(program, sent) == ours.aggregated_bits


def test_clients_that_keep_the_model_keep_the_shared_layers(compiled):
    coded = compiled(recon(), Quantize(stateful_clients=True, min_elements=1)).communication
    assert coded.known_bits == 32 * (8 * 4 + 4)
    assert 0 < coded.change_bits < coded.broadcasted_bits < 32 * (36 * 8 + 8)


class WithMovingAverages(ModelConfig):
    """A dense layer, batch normalization, a dense layer."""

    kind = "image"

    def build(self, spec):
        import tensorflow as tf

        layers = tf.keras.layers
        parts = [layers.Flatten(), layers.Dense(3, name="one"), layers.BatchNormalization(name="norm")]
        return tf.keras.Sequential([layers.InputLayer(spec.x_shape), *parts, layers.Dense(4, name="head")])


@pytest.mark.parametrize(
    ("model", "names", "positions"),
    [
        (HIDDEN, None, (2, 3)),
        (HIDDEN, ["dense"], (0, 1)),
        (MLP(hidden_units=[8, 8]), ["dense_2", "dense"], (0, 1, 4, 5)),
        (CharRNN(embedding_dim=2, units=3), ["embedding"], (0,)),
        (CharRNN(embedding_dim=2, units=3), None, (4, 5)),
        (WithMovingAverages(name="other"), None, (4, 5)),
    ],
)
def test_layers_are_found_by_name(model, names, positions):
    from fedcli.algorithms.processes.local_layers import local_positions
    from fedcli.training.learning_model import model_fn

    assert local_positions(model_fn(model, SPEC), names) == positions


@pytest.mark.parametrize(
    ("model", "names", "message", "hint"),
    [
        (HIDDEN, ["dense1"], "has no layer dense1", "did you mean dense_1? layers with weights: dense, dense_1"),
        (HIDDEN, ["flatten"], "has no layer flatten", "layers with weights: dense, dense_1"),
        (HIDDEN, ["dense", "dense_1"], "nothing is left to learn together", "name fewer layers"),
        (MLP(hidden_units=[]), None, "nothing is left to learn together", "or choose a model with more"),
        (WithMovingAverages(name="other"), ["norm"], "2 weights that are not trained", "leave it with the server"),
    ],
)
def test_layers_that_cannot_be_local_are_refused(model, names, message, hint):
    from fedcli.algorithms.processes.local_layers import local_positions
    from fedcli.training.learning_model import model_fn

    with pytest.raises(ConfigError, match=r"algorithm\.local_layers") as caught:
        local_positions(model_fn(model, SPEC), names)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_problems_name_the_fields():
    wrong = FedRecon(local_layers=[], reconstruction_learning_rate=0.0, reconstruction_epochs=0, support="half")
    fields = [field for field, _ in wrong.problems()]
    assert sorted(fields) == ["local_layers", "reconstruction_epochs", "reconstruction_learning_rate", "support"]
    assert not list(FedRecon().problems())


def test_data_that_cannot_be_split_or_evaluated_on_is_refused():
    twice = dataclasses.replace(Digits(), client_epochs=2)
    FedRecon().check_data(Digits(), Natural())
    FedRecon(support="same").check_data(dataclasses.replace(twice, max_batches_per_client=1), Natural())
    with pytest.raises(ConfigError, match="in the next"):
        FedRecon().check_data(twice, Natural())
    with pytest.raises(ConfigError, match="from one batch and train on another"):
        FedRecon().check_data(dataclasses.replace(Digits(), max_batches_per_client=1), Natural())
    with pytest.raises(ConfigError, match="synthetic clients have none"):
        FedRecon().check_data(Digits(), IID(num_clients=5))
