"""`fedcli train` with distributors: what is recorded, and that a resumed run is the same run."""

import json

import pytest

from fedcli.training.sampling import sample_clients
from tests.conftest import metrics

TINY = [
    "model=mlp",
    "model.hidden_units=[40]",
    "clients_per_round=4",
    "eval.every=3",
    "eval.max_examples=50",
    "checkpoint.every=2",
    "seed=5",
]
STATEFUL = [
    "distributor=quantize",
    "distributor.stateful_clients=true",
    "distributor.bits=4",
    "distributor.rounding=stochastic",
    "distributor.code=huffman",
]
DROPOUT = [
    "distributor=federated_dropout",
    "distributor.keep=0.5",
    "distributor.bits=6",
    "distributor.min_elements=100",
]
MODEL_BITS = 32 * (784 * 40 + 40 + 40 * 10 + 10)


@pytest.mark.parametrize("distributor", [STATEFUL, DROPOUT], ids=["stateful", "dropout"])
def test_a_resumed_run_is_the_same_run(train, distributor):
    unbroken = train("rounds=5", *distributor)
    run = train("rounds=3", *distributor)
    train("--resume", str(run), "rounds=5")
    assert metrics(run) == metrics(unbroken)
    results = [json.loads((one / "result.json").read_text()) for one in (run, unbroken)]
    assert results[0]["broadcasted_bits"] == results[1]["broadcasted_bits"]
    assert results[0]["clients_keep_state"] == (distributor is STATEFUL)


def test_bits_of_stateful_clients_follow_from_who_took_part(train):
    from fedcli.datasets.digits import Digits

    rows = metrics(train("rounds=7", *STATEFUL))[1:]
    ids = Digits().load().client_ids
    # Of the message, what is no stream: code lengths (16 bytes), range (8) and scale (4), the small tensors; beside
    # it, the optimizer's learning rate.
    fixed = 8 * (16 + 8 + 4) + 32 * (40 + 40 * 10 + 10)
    last = {}
    for round, row in enumerate(rows, 1):
        expected = 0
        for client in sample_clients(ids, 4, 5, round):
            missed = range(last[client], round) if client in last else None
            changes = None if missed is None else sum(fixed + int(rows[i]["distributor/stream_bits"]) for i in missed)
            expected += 32 + (MODEL_BITS if changes is None else min(MODEL_BITS, changes))
            last[client] = round
        assert int(row["broadcasted_bits_round"]) == expected
    assert int(rows[0]["broadcasted_bits_round"]) == 4 * (MODEL_BITS + 32)
    assert min(int(row["broadcasted_bits_round"]) for row in rows) < 4 * MODEL_BITS / 2


def test_resuming_without_the_rows_is_refused(train):
    run = train("rounds=3", *STATEFUL)
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join([*lines[:2], *lines[3:]]))
    result = train("--resume", str(run), "rounds=4", code=1)
    assert "metrics.csv has no row of round 1, but the oldest checkpoint is of round 2" in result.stderr


def test_the_columns_are_the_distributors(train):
    row = metrics(train("rounds=1", *DROPOUT))[1]
    assert float(row["distributor/distortion"]) > 0
    assert 6 < float(row["distributor/bits_per_element"]) < 7
    assert int(row["broadcasted_bits_round"]) < 4 * MODEL_BITS / 8
    assert int(row["aggregated_bits_round"]) < 4 * MODEL_BITS / 1.9
