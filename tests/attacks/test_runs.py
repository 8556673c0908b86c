"""`fedcli train` with attackers: what is recorded, resume, threads, the reference runtime, and who withstands them."""

import csv
import json
from pathlib import Path

import pytest

#: Softmax regression on the 13 writers of the digits.
TINY = [
    "model=mlp",
    "model.hidden_units=[]",
    "client_optimizer.learning_rate=0.02",
    "clients_per_round=6",
    "eval.every=3",
    "checkpoint.every=2",
    "seed=5",
]
#: The same in several tests, which so compile fewer rounds.
ATTACK = ["attack=noise", "attack.fraction=0.3"]


@pytest.fixture
def train(invoke):
    def run(*arguments, code=0):
        result = invoke("train", *TINY, *arguments)
        assert result.exit_code == code, result.stderr
        return Path(result.stderr.split("run:")[1].split()[0]) if code == 0 else result

    return run


def metrics(run):
    with open(run / "metrics.csv") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def accuracy(run):
    return float(metrics(run)[-1]["eval/accuracy"])


@pytest.mark.parametrize(
    "overrides",
    [
        [*ATTACK, "aggregator=geometric_median", "sampling.dropout=0.6"],
        ["attack=label_flip", "attack.fraction=0.3"],
    ],
)
def test_a_resumed_run_is_the_same_run_with_any_number_of_threads(train, overrides):
    unbroken = train("rounds=5", "runtime.threads=1", *overrides)
    run = train("rounds=3", "runtime.threads=2", *overrides)
    train("--resume", str(run), "rounds=5")
    assert metrics(run) == metrics(unbroken)
    assert (run / "attackers.json").read_text() == (unbroken / "attackers.json").read_text()


def test_attackers_are_recorded_and_are_the_same_in_each_round(train):
    run = train("rounds=4", *ATTACK, "sampling.simulate=true")
    told = json.loads((run / "attackers.json").read_text())
    assert told["attack"] == "noise"
    assert len(told["clients"]) == 4
    with open(run / "participants.csv") as file:
        rounds = [(int(row["round"]), row["client"]) for row in csv.DictReader(file)]
    rows = metrics(run)
    assert rows[0]["attackers"] == ""
    for number, row in enumerate(rows[1:], 1):
        assert int(row["attackers"]) == sum(client in told["clients"] for round, client in rounds if round == number)
    assert {int(row["attackers"]) for row in rows[1:]} != {0}


def test_an_honest_run_tells_nothing_of_attackers(train):
    run = train("rounds=0")
    assert "attackers" not in metrics(run)[0]
    assert not (run / "attackers.json").exists()


def test_tffs_runtime_agrees(train):
    ours, theirs = (
        metrics(train(f"runtime={runtime}", "rounds=2", *ATTACK, "aggregator=krum")) for runtime in ("local", "tff")
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for name in mine:
            assert mine[name] == other[name] or float(mine[name]) == pytest.approx(float(other[name]), rel=1e-4), name


def test_robust_aggregators_beat_the_mean(train):
    common = ["rounds=10", "clients_per_round=10", "eval.every=10", *ATTACK]
    mean = accuracy(train(*common))
    assert mean < 0.3
    for aggregator in ("geometric_median", "coordinate_median", "krum"):
        assert accuracy(train(*common, f"aggregator={aggregator}")) > mean + 0.2, aggregator


def test_attackers_are_honest_where_their_own_model_is_evaluated(train):
    """All train on wrong labels, and the model is wrong; to personalize it, they train on the right ones."""
    personal = ["client_eval.every=1", "client_eval.personalize_epochs=20"]
    row = metrics(train("rounds=1", "attack=label_flip", "attack.fraction=1", *personal))[1]
    assert float(row["clients/accuracy_mean"]) < 0.2
    assert float(row["personal/accuracy_mean"]) > 0.4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["attack=sign_flip", "algorithm=scaffold"], "what clients of algorithm=scaffold send beside their updates"),
        (
            ["attack=noise", "algorithm=mime_lite", "client_optimizer.momentum=0.9"],
            "what clients of algorithm=mime_lite send beside their updates",
        ),
        (["aggregator=krum", "aggregator.byzantine=2"], "against 2 Byzantine ones it needs more than 2 x 2 + 2"),
        (["aggregator=trimmed_mean", "aggregator.trim=0.5"], "from 0 to 0.499999"),
    ],
)
def test_what_makes_no_sense_is_refused(train, overrides, message):
    assert message in train(*overrides, code=2).stderr


def test_labels_of_text_are_refused(invoke):
    result = invoke("train", "attack=label_flip", "dataset=shakespeare", "model=char_rnn")
    assert result.exit_code == 2
    assert "those of a text data set have none" in result.stderr


def test_a_sweep_sets_keys_that_one_of_its_attacks_has(invoke):
    result = invoke("train", *TINY, "-m", "attack=none,noise", "attack.fraction=0.5", "rounds=0")
    assert result.exit_code == 0, result.stderr
