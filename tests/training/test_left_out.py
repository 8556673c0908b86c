"""Clients without a batch, and clients whose updates are not finite, do not report: they count nowhere."""

import dataclasses
import logging

import numpy as np
import pytest

from fedcli.aggregators.coordinate_median import CoordinateMedian
from fedcli.aggregators.ddp import DDP
from fedcli.aggregators.dp import DP
from fedcli.aggregators.mean import Mean
from fedcli.aggregators.quantize import Quantize
from fedcli.aggregators.robust import Robust
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_recon import FedRecon
from fedcli.algorithms.mime_lite import MimeLite
from fedcli.algorithms.scaffold import Scaffold
from fedcli.config.schema import ClientEvalConfig
from fedcli.distributors.entropy import Entropy
from fedcli.errors import ConfigError, DivergedError
from fedcli.keys.sampling import SamplingConfig
from fedcli.models.mlp import MLP
from fedcli.optimizers.sgd import SGD
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.participants import read_participants
from tests.odd_clients import CONFIG, OddClients, rows, run

#: Two clients that count, then an idle and a broken one; and the two alone.
ODD = OddClients(counts=(8, 8, 0, 8), broken=("c3",))
ALONE = OddClients(counts=(8, 8))


def state_of(directory):
    return dict(CheckpointStore(directory.checkpoints).latest().tensors)


def both(tmp_path, **keys):
    """Runs the same with and without the two odd clients."""
    odd, mine = run(tmp_path / "odd", dataset=ODD, clients_per_round=4, **keys)
    alone, theirs = run(tmp_path / "alone", dataset=ALONE, clients_per_round=2, **keys)
    return odd, alone, state_of(mine), state_of(theirs)


@pytest.mark.parametrize(
    "keys",
    [
        {"algorithm": FedAvg(weighted=False)},
        {"algorithm": FedAvg(weighted=True), "aggregator": Robust()},
        {"algorithm": FedAvg(weighted=False), "aggregator": CoordinateMedian()},
        {"algorithm": FedAvg(weighted=False), "aggregator": Quantize(min_elements=1, bits=4)},
        {"algorithm": MimeLite(weighted=False), "client_optimizer": SGD(learning_rate=0.1, momentum=0.9)},
        {"algorithm": FedAvg(weighted=False), "aggregator": DP(clients_per_round=2, noise_multiplier=0.0)},
    ],
    ids=lambda keys: "-".join(part.name for part in keys.values()),
)
def test_a_round_is_as_if_they_were_not_there(tmp_path, keys):
    odd, alone, mine, theirs = both(tmp_path, **keys)
    assert [row["clients/left_out"] for row in odd] == ["", "2", "2"]
    assert [row["clients/left_out"] for row in alone] == ["", "0", "0"]
    # The order in which clients are summed is that in which they were sampled.
    for name, tensor in mine.items():
        np.testing.assert_allclose(tensor, theirs[name], rtol=1e-5, atol=1e-6, err_msg=name)
    sent = {"broadcasted_bits", "broadcasted_bits_round", "clients/left_out", "eval/loss", "eval/accuracy"}
    for row, other in zip(odd, alone, strict=True):
        for name in row.keys() - sent:
            assert row[name] == other[name] or float(row[name]) == pytest.approx(float(other[name]), rel=1e-4), name
    # All four got the model, two sent an update.
    assert int(odd[1]["broadcasted_bits_round"]) == 2 * int(alone[1]["broadcasted_bits_round"])


def test_scaffold_counts_them_neither_and_they_keep_nothing(tmp_path):
    rows_, directory = run(
        tmp_path / "run",
        dataset=ODD,
        clients_per_round=4,
        algorithm=Scaffold(),
    )
    assert [row["clients/left_out"] for row in rows_] == ["", "2", "2"]
    checkpoint = CheckpointStore(directory.checkpoints).latest()
    assert checkpoint.meta["kept"] == {"c0": 2, "c1": 2}
    assert len(list(directory.client_states.iterdir())) == 2
    assert all(np.isfinite(tensor).all() for _, tensor in checkpoint.tensors)
    # The server's variate is the mean over all clients, of whom two have zero; the model's update is the mean of two.
    _, other = run(tmp_path / "other", dataset=ALONE, clients_per_round=2, algorithm=Scaffold(), rounds=1)
    _, first = run(tmp_path / "first", dataset=ODD, clients_per_round=4, algorithm=Scaffold(), rounds=1)
    mine, theirs = state_of(first), state_of(other)
    for name, tensor in mine.items():
        factor = 0.5 if "variate" in name else 1.0
        if "num_clients" not in name:
            np.testing.assert_allclose(tensor, factor * theirs[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_log_names_those_whose_updates_are_not_finite(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "fedcli.training.train"):
        run(tmp_path / "run", dataset=ODD, clients_per_round=4, rounds=1)
    assert "round 1: 1 of 4 clients have no batch and do not report" in caplog.messages
    assert any("1 of 4 clients do not report" in text and text.endswith("not finite: c3") for text in caplog.messages)


def test_one_thread_two_and_groups_agree_bit_for_bit(tmp_path):
    dataset = OddClients(counts=(8, 5, 0, 8, 3, 8, 1, 8), broken=("c3", "c5"))
    results = []
    for threads, group in ((1, 2), (2, 2), (2, 2)):
        runtime = dataclasses.replace(CONFIG.runtime, threads=threads, group_size=group)
        found, directory = run(
            tmp_path / str(len(results)), dataset=dataset, clients_per_round=8, runtime=runtime, aggregator=Robust()
        )
        results.append((found, {name: tensor.tobytes() for name, tensor in state_of(directory).items()}))
    assert results[0] == results[1] == results[2]
    assert results[0][0][1]["clients/left_out"] == "3"


@pytest.mark.parametrize("distributor", [CONFIG.distributor, Entropy(min_elements=1)], ids=lambda one: one.name)
def test_a_round_whose_clients_have_no_batch_changes_and_measures_nothing(tmp_path, distributor):
    # One client a round, of whom two of three have nothing.
    found, directory = run(
        tmp_path / "run",
        dataset=OddClients(counts=(8, 0, 0)),
        clients_per_round=1,
        rounds=6,
        distributor=distributor,
    )
    idle = [row for row in found[1:] if row["clients/left_out"] == "1"]
    assert 0 < len(idle) < 6
    for row in idle:
        assert row["train/loss"] == row["train/accuracy"] == row["train/examples"] == ""
        assert row["finalizer/update_non_finite"] == ""
        assert row["aggregated_bits_round"] == "0"
        assert int(row["broadcasted_bits_round"]) > 0
        before = found[int(row["round"]) - 1]
        if distributor.name == "broadcast":
            assert row["eval/loss"] == before["eval/loss"]
    assert all(np.isfinite(tensor).all() for tensor in state_of(directory).values())


def test_a_client_with_one_batch_is_idle_where_two_are_needed(tmp_path):
    found, _ = run(
        tmp_path / "run",
        dataset=OddClients(counts=(8, 4, 0)),
        clients_per_round=3,
        algorithm=FedRecon(),
        model=MLP(hidden_units=[2]),
    )
    assert [row["clients/left_out"] for row in found] == ["", "2", "2"]


@pytest.mark.parametrize("aggregator", [Mean(), CoordinateMedian()], ids=lambda one: one.name)
def test_a_round_in_which_every_update_is_not_finite_ends_the_run(tmp_path, aggregator):
    with pytest.raises(DivergedError, match="no update of the 2 clients that trained in round 1 is finite") as error:
        run(
            tmp_path / "run",
            dataset=OddClients(counts=(8, 8), broken=("c0", "c1")),
            clients_per_round=2,
            algorithm=FedAvg(weighted=False),
            aggregator=aggregator,
        )
    assert "lower client_optimizer.learning_rate (now 0.1)" in error.value.hint
    from fedcli.runs.directory import RunDirectory

    last = rows(RunDirectory(tmp_path / "run"))[-1]
    assert (last["clients/left_out"], last["train/loss"], last["eval/loss"] != "nan") == ("2", "", True)


@pytest.mark.parametrize("algorithm", [FedAvg(weighted=False), MimeLite(weighted=False)], ids=lambda one: one.name)
def test_noise_is_added_though_nobody_reports(tmp_path, algorithm):
    """Whether the server adds noise must not depend on who reports. What clients measure of gradients stays."""
    found, directory = run(
        tmp_path / "run",
        dataset=OddClients(counts=(8, 0)),
        clients_per_round=1,
        rounds=6,  # the idle client is drawn in the fifth
        algorithm=algorithm,
        client_optimizer=SGD(learning_rate=0.1, momentum=0.9),
        aggregator=DP(clients_per_round=1),
    )
    assert all(np.isfinite(tensor).all() for tensor in state_of(directory).values())
    idle = [row for row in found[1:] if row["clients/left_out"] == "1"]
    assert idle
    for row in idle:
        assert row["eval/loss"] != found[int(row["round"]) - 1]["eval/loss"]
        assert row["train/loss"] == ""


def test_a_round_without_reports_has_no_noise_where_clients_make_it(tmp_path):
    found, directory = run(
        tmp_path / "run",
        dataset=OddClients(counts=(8, 8)),
        clients_per_round=2,
        sampling=SamplingConfig(deadline=1e-9),
        algorithm=FedAvg(weighted=False),
        aggregator=DDP(clients_per_round=2),
    )
    assert {row["clients/reported"] for row in found} == {"0"}
    assert len({row["eval/loss"] for row in found}) == 1
    assert all(np.isfinite(tensor).all() for tensor in state_of(directory).values())


def test_idle_clients_add_their_noise_where_clients_make_it(tmp_path):
    found, _ = run(
        tmp_path / "run",
        dataset=OddClients(counts=(8, 0)),
        clients_per_round=2,
        algorithm=FedAvg(weighted=False),
        aggregator=DDP(clients_per_round=2),
    )
    assert [row["clients/left_out"] for row in found] == ["", "0", "0"]
    # Both send as many bits, and the statement of epsilon stands.
    assert found[1]["epsilon"] != ""
    only_idle, _ = run(
        tmp_path / "idle",
        dataset=OddClients(counts=(8, 0)),
        clients_per_round=1,
        rounds=6,
        algorithm=FedAvg(weighted=False),
        aggregator=DDP(clients_per_round=1),
    )
    assert "" in [row["train/loss"] for row in only_idle[1:]]
    assert "0.0" not in [row["train/loss"] for row in only_idle[1:]]


def test_nobody_who_can_train_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="all 3 clients have no batch") as error:
        run(tmp_path / "run", dataset=OddClients(counts=(3, 2, 0), drop_remainder=True), clients_per_round=1)
    assert "dataset.drop_remainder=false" in error.value.hint


def test_batches_run_on_across_epochs():
    dataset = OddClients(counts=(3, 2, 1, 0), drop_remainder=True, client_epochs=2)
    assert dataset.clients_without_batches(dataset.load()) == ["c2", "c3"]
    assert dataset.replace(drop_remainder=False).clients_without_batches(dataset.load()) == ["c3"]
    assert dataset.replace(client_epochs=1, drop_remainder=False).clients_without_batches(dataset.load(), 2) == [
        *("c0", "c1", "c2", "c3")
    ]


def test_a_test_split_without_examples_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="nothing to evaluate the model on: the data set has no test examples"):
        run(tmp_path / "run", dataset=OddClients(tested=0))


def test_clients_that_all_have_no_test_examples_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.odd_clients._Loaded.tested_clients", lambda self: [])
    with pytest.raises(ConfigError, match=r"client_eval.every=1: none of the 6 training clients has test examples"):
        run(tmp_path / "run", client_eval=ClientEvalConfig(every=1))


def test_a_client_whose_personal_training_diverges_keeps_the_model(tmp_path):
    found, directory = run(
        tmp_path / "run",
        dataset=ODD,
        clients_per_round=4,
        client_eval=ClientEvalConfig(every=2, personalize_epochs=1),
    )
    from tests.conftest import table

    for row in table(directory.clients_csv):
        if row["client"] in ("c2", "c3"):
            assert (row["personal_loss"], row["personal_accuracy"]) == (row["loss"], row["accuracy"])
    assert float(found[-1]["personal/accuracy_mean"]) >= 0


def test_simulated_clients_that_are_left_out_send_nothing(tmp_path):
    found, directory = run(
        tmp_path / "run", dataset=ODD, clients_per_round=4, sampling=SamplingConfig(simulate=True), rounds=1
    )
    outcomes = {it.client: it.outcome for it in read_participants(directory.participants_csv)}
    assert outcomes == {"c0": "reported", "c1": "reported", "c2": "left_out", "c3": "left_out"}
    row = found[1]
    assert [row[f"clients/{name}"] for name in ("reported", "dropped", "cut", "left_out")] == ["2", "0", "0", "2"]
    plain, _ = run(tmp_path / "plain", dataset=ODD, clients_per_round=4, rounds=1)
    assert {name: row[name] for name in plain[1]} == plain[1]
