"""`fedcli train` with privacy: epsilon in the record, the stop at a limit, resume, threads, refusals, compare."""

import csv
import functools
import json
from pathlib import Path

import dp_accounting
import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant

from fedcli.runs.checkpoints import CheckpointStore

TINY = [
    "model=mlp",
    "model.hidden_units=[]",
    "clients_per_round=3",
    "dataset.max_batches_per_client=2",
    "eval.every=1",
    "eval.max_examples=20",
    "checkpoint.every=1",
    "seed=5",
    "algorithm.weighted=false",
]
DP = ["aggregator=dp", "aggregator.noise_multiplier=2"]
METHODS = {
    "dp": DP,
    "secure": ["aggregator=secure", "aggregator.zeroing=false", "aggregator.clipping=false"],
    "ddp": ["aggregator=ddp", "aggregator.noise_multiplier=2"],
}


@pytest.fixture
def train(invoke):
    def run(*arguments, code=0):
        result = invoke("train", *TINY, *arguments)
        assert result.exit_code == code, result.stderr
        if code:
            assert len(result.stderr.strip().splitlines()) == 2
            return result
        run.said = result.stderr
        return Path(result.stderr.split("run:")[1].split()[0])

    return run


def metrics(run):
    with open(run / "metrics.csv") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def record(run):
    return json.loads((run / "run.json").read_text())


@functools.cache
def epsilon_by_hand(rounds, noise=2.0, delta=13**-1.1):
    accountant = RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE)
    event = dp_accounting.SampledWithoutReplacementDpEvent(13, 3, dp_accounting.GaussianDpEvent(noise / 2))
    return accountant.compose(event, rounds).get_epsilon(delta)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_is_the_same_run_with_any_number_of_threads(train, method):
    overrides = METHODS[method]
    unbroken = train("rounds=3", "runtime.threads=1", *overrides)
    run = train("rounds=2", "runtime.threads=2", *overrides)
    train("--resume", str(run), "rounds=3")
    assert metrics(run) == metrics(unbroken)
    assert record(run)["privacy"] == record(unbroken)["privacy"]
    ours, theirs = (CheckpointStore(one / "checkpoints").latest().tensors for one in (run, unbroken))
    for (name, mine), (_, other) in zip(ours, theirs, strict=True):  # the clipping norm among them
        assert np.array_equal(mine, other), name


def test_each_round_states_its_epsilon(train):
    run = train("rounds=3", *DP)
    expected = [0.0, *(epsilon_by_hand(rounds) for rounds in (1, 2, 3))]
    assert [float(row["epsilon"]) for row in metrics(run)] == pytest.approx(expected, rel=1e-9)
    privacy = record(run)["privacy"]
    assert privacy == json.loads((run / "result.json").read_text())["privacy"]
    assert privacy["epsilon"] == pytest.approx(expected[-1], rel=1e-9)
    assert (privacy["delta"], privacy["neighbours"], privacy["clients"]) == (13**-1.1, "replace-one", 13)
    assert f"epsilon {expected[-1]:.4g} at delta" in train.said


def test_a_run_ends_before_the_round_that_would_exceed_the_limit(train):
    limit = (epsilon_by_hand(2) + epsilon_by_hand(3)) / 2
    run = train("rounds=9", *DP, f"privacy.max_epsilon={limit}")
    assert [row["round"] for row in metrics(run)] == ["0", "1", "2"]
    assert metrics(run)[-1]["eval/accuracy"]
    assert record(run)["status"] == "completed"
    assert record(run)["privacy"]["ended"].startswith("after round 2 of 9: the next would exceed")
    assert "ended after round 2 of 9" in train.said
    # With a larger limit it goes on, to the same numbers as if it had had it at once; with a smaller one it cannot.
    train("--resume", str(run), f"privacy.max_epsilon={epsilon_by_hand(3)}")
    whole = train("rounds=3", *DP)
    assert metrics(run)[3] == metrics(whole)[3]
    assert "has spent more already" in train("--resume", str(run), "privacy.max_epsilon=0.1", code=2).stderr


def test_no_epsilon_is_stated_where_it_is_not_covered(train, invoke):
    run = train("rounds=2", *DP, "sampling.dropout=0.1")
    assert "epsilon" not in metrics(run)[0]
    assert record(run)["privacy"]["epsilon"] is None
    assert "who reports" in record(run)["privacy"]["not_covered"]
    assert "no epsilon is stated: sampling" in train.said
    assert "no epsilon is stated" in (run / "run.log").read_text()
    train("rounds=2", *DP)
    shown = invoke("compare", "outputs").stdout
    assert "not covered" in shown
    assert f"{epsilon_by_hand(2):.4f}" in shown
    assert "no epsilon is stated: sampling" in shown


@pytest.fixture
def finetune(invoke):
    def run(pretrained, *arguments, code=0):
        keys = [key for key in TINY if not key.startswith("model")]
        result = invoke("finetune", "--pretrained", str(pretrained), "dataset=digits", *keys, *arguments)
        assert result.exit_code == code, result.stderr
        if code:
            return result
        run.said = result.stderr
        return Path(result.stderr.split("run:")[1].split()[0])

    return run


def test_epsilon_of_a_fine_tuned_model_counts_its_training_on_the_same_clients(train, finetune, invoke):
    first = train("rounds=2", *DP)
    run = finetune(first, "rounds=2", *DP)
    expected = [epsilon_by_hand(rounds) for rounds in (2, 3, 4)]
    assert [float(row["epsilon"]) for row in metrics(run)] == pytest.approx(expected, rel=1e-9)
    assert (
        record(run)["privacy"]["first_model"]
        == f"{first}, which had spent epsilon {expected[0]:.4g} of the same clients"
    )
    assert "it began with" in finetune.said
    assert "the first model is" in invoke("compare", str(run)).stdout
    # A third run counts both, and so does a resume, also when the records of the runs before are gone.
    third = finetune(run, "rounds=1", *DP)
    (run / "run.json").unlink()
    (first / "run.json").unlink()
    assert invoke("finetune", "--resume", str(third), "rounds=2").exit_code == 0
    assert float(metrics(third)[-1]["epsilon"]) == pytest.approx(epsilon_by_hand(6), rel=1e-9)


def test_a_limit_counts_what_the_first_model_has_spent(train, finetune):
    first = train("rounds=2", *DP)
    run = finetune(first, "rounds=9", *DP, f"privacy.max_epsilon={epsilon_by_hand(3) + 1e-6}")
    assert [row["round"] for row in metrics(run)] == ["0", "1"]
    refused = finetune(first, "rounds=9", *DP, f"privacy.max_epsilon={epsilon_by_hand(2) - 1e-6}", code=2)
    assert "has spent" in refused.stderr


def test_no_epsilon_is_stated_of_a_model_that_was_trained_without_noise(train, finetune):
    first = train("rounds=1")
    run = finetune(first, "rounds=1", *DP)
    assert record(run)["privacy"]["epsilon"] is None
    assert "on the same clients without noise" in record(run)["privacy"]["not_covered"]
    assert [row["epsilon"] for row in metrics(run)] == ["", ""]
    assert "without noise" in finetune(first, "rounds=1", *DP, "privacy.max_epsilon=9", code=2).stderr
    # Another partition has other clients, and a file by itself tells nothing.
    dealt = finetune(train("rounds=1", *DP, "partition=iid", "partition.num_clients=13"), "rounds=1", *DP)
    assert "other data" in record(dealt)["privacy"]["not_covered"]
    file = Path("copied.keras")
    file.write_bytes((first / "model.keras").read_bytes())
    assert "nothing tells" in record(finetune(file, "rounds=1", *DP))["privacy"]["not_covered"]
    vouched = finetune(file, "rounds=1", *DP, "pretrained_is_public=true")
    assert record(vouched)["privacy"]["epsilon"] == pytest.approx(epsilon_by_hand(1), rel=1e-9)
    assert record(vouched)["privacy"]["first_model"].startswith("public weights: copied.keras")


def test_poisson_sampling(train):
    run = train(
        "rounds=4", *DP, "sampling.scheme=poisson", "clients_per_round=1", "aggregator.clients_per_round=3", "seed=9"
    )
    rows = metrics(run)
    accountant = RdpAccountant().compose(
        dp_accounting.PoissonSampledDpEvent(1 / 13, dp_accounting.GaussianDpEvent(2.0)), 4
    )
    assert float(rows[4]["epsilon"]) == pytest.approx(accountant.get_epsilon(13**-1.1), rel=1e-9)
    assert record(run)["privacy"]["neighbours"] == "add-or-remove-one"
    empty = [row for row in rows[1:] if row["aggregated_bits_round"] == "0"]
    assert empty  # by this seed
    assert all(row["train/loss"] == "" and row["aggregator/dp_query_metrics/clip"] for row in empty)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([*DP, "algorithm.weighted=true"], "algorithm.weighted=false"),
        (["aggregator=secure", "runtime=tff"], "sums securely"),
        ([*DP, "sampling.dropout=0.1", "privacy.max_epsilon=3"], "no epsilon can be stated"),
        (["privacy.max_epsilon=3"], "adds no noise"),
        (["sampling.scheme=poison"], "must be one of: fixed, poisson"),
        (["sampling.scheme=poisson", "sampling.dropout=0.1"], "simulated reports"),
        ([*DP, "aggregator.clipped_count_stddev=0.9"], "more than half of noise_multiplier"),
    ],
)
def test_refusals_are_two_lines(train, overrides, says):
    assert says in train(*overrides, code=2).stderr


def test_tffs_runtime_agrees_without_the_noise(train):
    overrides = ["rounds=2", "aggregator=dp", "aggregator.noise_multiplier=0"]
    ours, theirs = (metrics(train(f"runtime={runtime}", *overrides)) for runtime in ("local", "tff"))
    for mine, other in zip(ours, theirs, strict=True):
        for name in mine:
            assert mine[name] == other[name] or float(mine[name]) == pytest.approx(float(other[name]), rel=1e-4), name
