"""`fedcli train` with each algorithm: threads, resume, the reference runtime, schedules."""

import json

import pytest

from fedcli.algorithms import algorithms
from tests.conftest import metrics

TINY = [
    "model=mlp",
    "model.hidden_units=[16]",
    "clients_per_round=3",
    "dataset.max_batches_per_client=3",
    "eval.every=3",
    "eval.max_examples=50",
    "checkpoint.every=2",
    "seed=5",
]
ALGORITHMS = {
    "fed_prox": ["algorithm=fed_prox"],
    "fed_sgd": ["algorithm=fed_sgd", "server_optimizer.learning_rate=0.3"],
    "mime_lite": ["algorithm=mime_lite", "client_optimizer.momentum=0.9"],
    "scaffold": ["algorithm=scaffold"],
    "fed_recon": ["algorithm=fed_recon"],
}
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@every_algorithm
def test_a_resumed_run_is_the_same_run_with_any_number_of_threads(train, algorithm):
    overrides = ALGORITHMS[algorithm]
    unbroken = train("rounds=5", "runtime.threads=1", *overrides)
    run = train("rounds=3", "runtime.threads=2", *overrides)
    train("--resume", str(run), "rounds=5")
    assert metrics(run) == metrics(unbroken)
    results = [json.loads((one / "result.json").read_text()) for one in (run, unbroken)]
    assert results[0]["final"] == results[1]["final"]
    assert float(metrics(run)[-1]["eval/loss"]) < float(metrics(run)[0]["eval/loss"])


@pytest.mark.parametrize("algorithm", ["fed_prox", "fed_sgd", "mime_lite", "fed_recon"])
def test_tffs_runtime_agrees(train, algorithm):
    overrides = ["rounds=2", *ALGORITHMS[algorithm]]
    ours, theirs = (metrics(train(f"runtime={runtime}", *overrides)) for runtime in ("local", "tff"))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for name in mine:
            assert mine[name] == other[name] or float(mine[name]) == pytest.approx(float(other[name]), rel=1e-4), name


@every_algorithm
def test_works_with_coded_updates_and_models(train, algorithm):
    coded = ["aggregator=quantize", "distributor=quantize", "aggregator.min_elements=1000", "distributor.bits=8"]
    row = metrics(train("rounds=1", *ALGORITHMS[algorithm], *coded, "distributor.min_elements=1000"))[1]
    plain = metrics(train("rounds=1", *ALGORITHMS[algorithm]))[1]
    for bits in ("aggregated_bits", "broadcasted_bits"):
        # MimeLite's momentum and gradient, and SCAFFOLD's variates, travel whole.
        assert int(row[bits]) < (0.85 if algorithm in ("mime_lite", "scaffold") else 0.7) * int(plain[bits])


def test_sub_models_are_trained_by_fed_prox_and_refused_by_the_others(train):
    train("rounds=1", "algorithm=fed_prox", "distributor=federated_dropout")
    for overrides in (ALGORITHMS[name] for name in ("fed_sgd", "mime_lite", "scaffold", "fed_recon")):
        result = train(*overrides, "distributor=federated_dropout", code=2)
        assert "takes no sub-models" in result.stderr


@pytest.mark.parametrize("algorithm", ["fed_avg", "fed_prox", "mime_lite", "fed_recon"])
def test_a_rate_of_a_round_is_that_of_its_schedule(train, algorithm, monkeypatch):
    """Two rounds with rates 0.1 and 0.05 are those of two runs that have these rates throughout, compiled in."""
    overrides = ALGORITHMS.get(algorithm, ["client_optimizer.momentum=0.9"])
    halving = ["client_schedule=exponential", "client_schedule.rate=0.5", "client_schedule.every=1"]
    rows = metrics(train("rounds=2", *overrides, *halving))
    assert [row["client_learning_rate"] for row in rows] == ["", "0.1", "0.05"]
    run = train("rounds=1", *overrides)
    assert metrics(run)[1]["train/loss"] == rows[1]["train/loss"]
    with monkeypatch.context() as patch:
        patch.setattr(algorithms[algorithm], "takes_rates_from_state", False)
        slower = metrics(train("rounds=1", *overrides, "client_optimizer.learning_rate=0.05"))
    assert slower[1]["eval/loss"] != metrics(run)[1]["eval/loss"]
    warm = ["client_schedule.warmup_rounds=1"]
    assert metrics(train("rounds=1", *overrides, *warm))[1]["eval/loss"] == slower[1]["eval/loss"]


def test_a_round_is_compiled_once_for_all_rates(train, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    rates = [f"{who}_optimizer.learning_rate={rate}" for who, rate in (("client", 0.05), ("server", 0.5))]
    losses = [metrics(train("rounds=1", *overrides))[1]["eval/loss"] for overrides in ([], *([rate] for rate in rates))]
    assert len(set(losses)) == 3
    assert len(list((tmp_path / "cache/compiled").glob("*.zip"))) == 1


def test_the_server_has_a_schedule_too(train):
    slower = metrics(train("rounds=1", "server_optimizer.learning_rate=0.5"))
    warm = train("rounds=3", "server_schedule=cosine", "server_schedule.warmup_rounds=1")
    rows = metrics(warm)
    assert rows[1]["train/loss"] == slower[1]["train/loss"]
    assert [row["server_learning_rate"] for row in rows] == ["", "0.5", "1.0", "0.5"]
    unbroken = train("rounds=4", "server_schedule=exponential", "server_schedule.every=2")
    run = train("rounds=3", "server_schedule=exponential", "server_schedule.every=2")
    train("--resume", str(run), "rounds=4")
    assert metrics(run) == metrics(unbroken)


def test_scaffold_keeps_what_clients_had_at_each_checkpoint(train):
    """As after a kill -9 in round 5: files of later rounds than the checkpoint's are there, and must not be read."""
    overrides = ["rounds=5", *ALGORITHMS["scaffold"]]
    unbroken, run = train(*overrides), train(*overrides)
    files = {path.name for path in (run / "client_states").iterdir()}
    (run / "checkpoints" / "round_000005.npz").unlink()
    train("--resume", str(run))
    assert metrics(run) == metrics(unbroken)
    assert {path.name for path in (run / "client_states").iterdir()} == files
    versions = {}
    for client in (run / "client_states").iterdir():
        name, _, version = client.stem.partition("-")
        versions.setdefault(name, []).append(int(version))
    # What the checkpoints of rounds 4 and 5 need, and nothing else.
    for rounds in versions.values():
        assert len(rounds) == 1 or (len(rounds) == 2 and max(rounds) == 5)
    assert len(versions) > 3


def test_scaffold_without_its_files_is_refused(train):
    run = train("rounds=3", *ALGORITHMS["scaffold"])
    next((run / "client_states").glob("*-000003.npz")).unlink()
    assert "is missing: what writer_" in train("--resume", str(run), "rounds=4", code=1).stderr


def test_scaffold_sends_twice_the_bits_both_ways(train):
    ours = metrics(train("rounds=1", *ALGORITHMS["scaffold"]))[1]
    theirs = metrics(train("rounds=1", "algorithm.weighted=false"))[1]
    model = 3 * 32 * (784 * 16 + 16 + 16 * 10 + 10)
    for bits in ("aggregated_bits_round", "broadcasted_bits_round"):
        assert int(ours[bits]) == int(theirs[bits]) + model
    # Its first steps are those of FedAvg: all variates are zero.
    assert ours["train/loss"] == theirs["train/loss"]


def test_scaffold_on_tffs_runtime_is_refused(train):
    assert "tells nothing of single clients" in train("runtime=tff", *ALGORITHMS["scaffold"], code=2).stderr


def test_scaffold_keeps_nothing_of_a_round_without_a_report(train):
    """Such a round is run for the length of its message alone. A client must find what it kept before, also resumed."""
    # Of so few clients that each is sampled again after rounds without a report.
    few = "dataset.clients=[writer_00,writer_01,writer_02,writer_03]"
    lossy = [few, "sampling.dropout=0.7", "checkpoint.every=100", *ALGORITHMS["scaffold"]]
    coded = ["distributor=quantize", "distributor.code=huffman", "distributor.min_elements=1000"]
    unbroken, run = train("rounds=12", *lossy, *coded), train("rounds=9", *lossy, *coded)
    reported = [row["clients/reported"] for row in metrics(unbroken)[1:]]
    assert reported[:9].count("0") > 1
    assert sum(map(int, reported)) > 2 * 4
    train("--resume", str(run), "checkpoint.every=100", "rounds=12")
    assert metrics(run) == metrics(unbroken)


def test_new_clients_that_keep_the_model_get_the_shared_layers(train):
    """In the first round all are new."""
    keeping = ["distributor=quantize", "distributor.stateful_clients=true", "distributor.min_elements=1000"]
    plain, kept = (metrics(train("rounds=1", *ALGORITHMS["fed_recon"], *keys))[1] for keys in ([], keeping))
    assert kept["broadcasted_bits"] == plain["broadcasted_bits"]
    assert int(plain["broadcasted_bits"]) == 3 * 32 * (784 * 16 + 16 + 1)
