"""Evaluations of what clients reconstruct of a model."""

import json

import numpy as np
import pytest

from fedcli.datasets.base import PADDING, DataSpec, Examples, FederatedDataset
from fedcli.datasets.digits import Digits
from fedcli.errors import ConfigError
from fedcli.models.mlp import MLP
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.training.evaluation import Evaluation
from fedcli.training.reconstruction import ReconstructedEvaluator, clients_to_reconstruct_for
from fedcli.training.sampling import ExampleOrder, seed_words
from tests.algorithms.dense_layers import evaluated, stepped
from tests.conftest import metrics, table

TINY = [
    "model=mlp",
    "model.hidden_units=[16]",
    "algorithm=fed_recon",
    "algorithm.reconstruction_epochs=2",
    "algorithm.reconstruction_learning_rate=0.2",
    "client_optimizer.learning_rate=0.02",
    "rounds=2",
    "seed=4",
]
LOCAL = [2, 3]


def batches(data, seed):
    # All of them: training rounds alone have a limit.
    order = ExampleOrder(seed, 1, 20, None, False)(len(data))
    return [(data.x[some], data.y[some]) for some in (order[start : start + 20] for start in range(0, len(order), 20))]


def test_a_runs_numbers_agree_with_numpy(train):
    import tensorflow as tf

    from fedcli.training.weights import initial_weights

    run = train("client_eval.every=2", "client_eval.personalize_epochs=1", "dataset.max_batches_per_client=3")
    tensors = dict(CheckpointStore(run / "checkpoints").latest().tensors)
    model = [tensors[f"global_model_weights/trainable/{i}"] for i in range(4)]
    dataset = Digits().load()
    found = []
    for row in table(run / "clients.csv"):
        client = row["client"]
        data, test = dataset.client(client), dataset.test_client(client)
        support = batches(data, seed_words(4, "reconstruction", 0, client))
        own = stepped(model, LOCAL, 0.2, support + support)
        further = stepped(own, range(4), 0.02, batches(data, seed_words(4, "personalization", 2, client)))
        expected = [*evaluated(own, test), *evaluated(further, test)]
        names = ("loss", "accuracy", "personal_loss", "personal_accuracy")
        assert [float(row[name]) for name in names] == pytest.approx(expected, rel=1e-4)
        found.append((len(test), *expected[:2]))
    assert len(found) == 13
    sizes, losses, accuracies = np.array(found).T
    final = json.loads((run / "result.json").read_text())["final"]
    assert final["eval/loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-4)
    assert final["eval/accuracy"] == pytest.approx(np.average(accuracies, weights=sizes))
    # The Keras file is what the server has: of the local layers, the first values.
    first = initial_weights(MLP(hidden_units=[16]), dataset.spec, 4)
    for i, weight in enumerate(tf.keras.models.load_model(run / "model.keras").get_weights()):
        assert np.array_equal(weight, model[i])
        assert np.array_equal(weight, first[i]) == (i in LOCAL)


def test_threads_and_resume_change_nothing(train):
    few = ["eval.every=1", "eval.max_examples=60", "client_eval.every=1", "client_eval.max_clients=4"]
    unbroken = train(*few, "runtime.threads=1")
    run = train(*few, "runtime.threads=2", "rounds=1")
    train("--resume", str(run), "rounds=2")
    assert metrics(run) == metrics(unbroken)
    assert (run / "clients.csv").read_text() == (unbroken / "clients.csv").read_text()


def test_refusals_are_two_lines(train):
    for keys, message in (
        (["partition=iid", "partition.num_clients=12"], "synthetic clients have none"),
        (["dataset.client_epochs=2"], "in one epoch it would train on in the next"),
        (["algorithm.local_layers=[dense_2]"], "has no layer dense_2 with weights"),
    ):
        result = train(*keys, code=2)
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 2


class Clients(FederatedDataset):
    """Clients with so many test examples."""

    spec = DataSpec("text", (3,), "int32", (3,), 9, 5)

    def __init__(self, sizes, characters=3):
        self.client_ids = [str(i) for i in range(len(sizes))]
        self._sizes = sizes
        self._characters = characters

    def client(self, client_id):
        return self.test_client(client_id)

    def test(self, max_examples=None):
        return Examples(*(np.concatenate(xs) for xs in zip(*map(self._arrays, self.client_ids), strict=True)))

    def test_client(self, client_id):
        return Examples(*self._arrays(client_id))

    def _arrays(self, client_id):
        y = np.full((self._sizes[int(client_id)], 3), PADDING, np.int32)
        # The first client's sequences have one character.
        y[:, : 1 if client_id == "0" else self._characters] = 1
        return np.full(y.shape, int(client_id), np.int32), y


class Recorded:
    """Stands for both: the model of client i is i, and so are its loss and its accuracy."""

    def __init__(self):
        self.examples = []

    def each(self, tasks):
        done = [task() for task in tasks]
        self.examples = [len(examples) for _, examples in done]
        assert all((examples.x == model).all() for model, examples in done)
        return [Evaluation(float(model), model / 10) for model, _ in done]

    def __call__(self, weights, client, round):
        assert (weights, round) == ("server's", 0)
        return int(client)


def test_every_target_counts_the_same():
    stub = Recorded()
    evaluation = ReconstructedEvaluator(Clients([6, 1, 2]), stub, stub, None)("server's")
    assert stub.examples == [6, 1, 2]
    assert evaluation == Evaluation(pytest.approx((1 * 3 + 2 * 6) / 15), pytest.approx((1 * 3 + 2 * 6) / 150))


@pytest.mark.parametrize("limit", [1, 3, 10, 29, 60, 1000])
def test_a_limit_holds_and_is_spread_over_clients(limit):
    stub, sizes = Recorded(), [10, 3, 5, 0, 12, 10, 20]
    evaluator = ReconstructedEvaluator(Clients(sizes), stub, stub, limit)
    evaluator("server's")
    assert 0 < sum(stub.examples) <= limit
    assert "3" not in evaluator.clients
    assert len(evaluator.clients) == min(6, -(-limit // 10))
    if limit == 1000:
        assert sum(stub.examples) == sum(sizes)


def test_clients_without_test_examples_are_refused():
    with pytest.raises(ConfigError, match="no client has test examples"):
        clients_to_reconstruct_for(Clients([0, 0]))
    assert clients_to_reconstruct_for(Clients([0, 2])) == ["1"]


def test_clients_with_too_few_batches_are_counted():
    clients = Clients([10, 5, 6, 0])
    assert Digits(batch_size=5).clients_without_batches(clients, 2) == ["1", "3"]
    assert Digits(batch_size=5, drop_remainder=True).clients_without_batches(clients, 2) == ["1", "2", "3"]
