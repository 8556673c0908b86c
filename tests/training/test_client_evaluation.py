"""Federated evaluation and personalization, against softmax regression in NumPy."""

import json

import numpy as np
import pytest

from fedcli.datasets.digits import Digits
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.training.client_evaluation import ClientResults
from fedcli.training.evaluation import Evaluation
from fedcli.training.sampling import ExampleOrder, seed_words
from tests.algorithms.softmax import Model
from tests.conftest import metrics, table

TINY = ["model=mlp", "model.hidden_units=[]", "client_optimizer.learning_rate=0.02", "rounds=2", "seed=4"]
PERSONAL = ["client_eval.every=2", "client_eval.personalize_epochs=2", "dataset.max_batches_per_client=9"]


def evaluated(model, examples):
    x = examples.x.reshape(len(examples), -1).astype(np.float64)
    logits = x @ model.kernel + model.bias
    logits -= logits.max(1, keepdims=True)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(x)), examples.y]
    return losses.mean(), (logits.argmax(1) == examples.y).mean()


def test_a_client_is_no_formula_in_the_table():
    results = ClientResults(1, ["=HYPERLINK(1)", "anna"], [5, 5], [Evaluation(0.5, 0.75)] * 2, None)
    lines = results.as_csv().splitlines()
    assert lines[1:] == ["'=HYPERLINK(1),1,5,0.5,0.75", "anna,1,5,0.5,0.75"]


def test_every_clients_numbers_agree_with_numpy(train):
    run = train(*PERSONAL, "client_schedule=exponential", "client_schedule.rate=0.25", "client_schedule.every=1")
    tensors = dict(CheckpointStore(run / "checkpoints").latest().tensors)
    model = Model(*(tensors[f"global_model_weights/trainable/{i}"] for i in range(2)))
    dataset = Digits().load()
    rows = table(run / "clients.csv")
    assert [row["client"] for row in rows] == dataset.client_ids
    for row in rows:
        client = row["client"]
        test, data = dataset.test_client(client), dataset.client(client)
        # Of all examples, whatever the limit on the batches of a training round.
        order = ExampleOrder(seed_words(4, "personalization", 2, client), 2, 20, None, False)(len(data))
        assert len(order) == 2 * len(data) > 180
        own = model
        for start in range(0, len(order), 20):
            some = order[start : start + 20]
            # The second round's rate.
            own -= 0.25 * 0.02 * own.gradient((data.x[some], data.y[some]))
        expected = [*evaluated(model, test), *evaluated(own, test)]
        found = [float(row[name]) for name in ("loss", "accuracy", "personal_loss", "personal_accuracy")]
        assert found == pytest.approx(expected, rel=1e-4)
        assert (int(row["round"]), int(row["test_examples"])) == (2, len(test))
    accuracies, own = (np.array([float(row[name]) for row in rows]) for name in ("accuracy", "personal_accuracy"))
    last = json.loads((run / "result.json").read_text())["final"]
    assert last["clients/accuracy_mean"] == pytest.approx(accuracies.mean())
    assert last["clients/accuracy_std"] == pytest.approx(accuracies.std())
    assert last["clients/accuracy_min"] == accuracies.min()
    for percentile in (10, 25, 50, 75, 90):
        assert last[f"clients/accuracy_p{percentile}"] == pytest.approx(np.percentile(accuracies, percentile))
        assert last[f"personal/accuracy_p{percentile}"] == pytest.approx(np.percentile(own, percentile))
        assert last[f"personal/gain_p{percentile}"] == pytest.approx(np.percentile(own - accuracies, percentile))
    assert last["personal/improved"] == np.mean(own > accuracies)
    assert last["personal/worsened"] == np.mean(own < accuracies)


def test_threads_and_resume_change_nothing_and_training_is_not_changed(train):
    unbroken = train("rounds=4", "eval.every=2", "runtime.threads=1", *PERSONAL)
    run = train("eval.every=2", "runtime.threads=2", *PERSONAL)
    train("--resume", str(run), "rounds=4")
    assert metrics(run) == metrics(unbroken)
    assert (run / "clients.csv").read_text() == (unbroken / "clients.csv").read_text()
    plain = metrics(train("rounds=4", "eval.every=2"))
    assert plain == [{k: row[k] for k in plain[0]} for row in metrics(run)]
    assert [bool(row["clients/accuracy_p10"]) for row in metrics(run)] == [False, False, True, False, True]


def test_a_sample_of_clients_is_fixed_and_compressed_updates_do_not_matter(train):
    coded = ["aggregator=quantize", "aggregator.min_elements=1", "aggregator.bits=1", "algorithm=scaffold"]
    rows = table(train("client_eval.every=1", "client_eval.max_clients=4", *coded) / "clients.csv")
    assert len({row["client"] for row in rows}) == 4
    again = table(train("client_eval.every=1", "client_eval.max_clients=4", "seed=9") / "clients.csv")
    assert [row["client"] for row in again] == [row["client"] for row in rows]
    assert "personal_accuracy" not in rows[0]


def test_synthetic_clients_have_no_test_examples_of_their_own(train):
    result = train("client_eval.every=1", "partition=iid", "partition.num_clients=12", code=2)
    assert "the test examples of this data set are not those of single clients" in result.stderr
    assert "partition=natural" in result.stderr


def test_compare_shows_how_fair_a_model_is(train, invoke):
    train("client_eval.every=1")
    done = invoke("compare", "outputs", "--json")
    assert done.exit_code == 0, done.stderr
    assert "clients/accuracy_p10" in invoke("compare", "outputs", "--csv").stdout.splitlines()[0]
    assert "clients/accuracy_p10" in invoke("compare", "outputs", "--md").stdout.splitlines()[0]
