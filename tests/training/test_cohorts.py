"""A round's clients and bits, for simulated devices and for none."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_recon import FedRecon
from fedcli.algorithms.fed_sgd import FedSGD
from fedcli.algorithms.mime_lite import MimeLite
from fedcli.algorithms.scaffold import Scaffold
from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import Examples, FederatedDataset
from fedcli.distributors.federated_dropout import FederatedDropout
from fedcli.keys.sampling import SamplingConfig
from fedcli.runtime.engine.communication import Communication
from fedcli.training.changes import ChangeAccount
from fedcli.training.cohorts import Cohorts, Spent, Streams
from fedcli.training.sampling import sample_clients

CONFIG = compose(HydraRequest("train", [], "abcdef"), TrainConfig)
PER_CLIENT = Communication(1_000_000, 400_000)


class Sized(FederatedDataset):
    """100 clients, of whom the i-th has i examples; which cannot be read."""

    client_ids = [f"c{i:02}" for i in range(100)]  # noqa: RUF012

    def client(self, client_id):
        raise AssertionError("a client was read for its size")

    def test(self, max_examples=None):
        return Examples(np.empty(0), np.empty(0, np.int32))

    def size(self, client_id):
        return int(client_id[1:])


def cohorts(sampling=None, *, per_client=PER_CLIENT, changes=None, idle=(), **keys):
    config = dataclasses.replace(CONFIG, sampling=sampling or SamplingConfig(), **keys)
    return Cohorts(config, Sized(), per_client, changes, idle)


SAMPLINGS = st.builds(
    SamplingConfig,
    simulate=st.just(True),
    dropout=st.floats(0, 0.9),
    overselect=st.floats(1, 3),
    goal=st.none() | st.integers(1, 10),
    deadline=st.none() | st.floats(0.01, 30),
    jitter=st.floats(0, 1),
)


def test_without_simulation_all_that_are_sampled_report():
    cohort = cohorts().cohort(3, Streams())
    assert cohort.asked == cohort.reported == sample_clients(Sized.client_ids, 10, 0, 3)
    spent = cohorts().spent(cohort, {"aggregator/stream_bits": 77, "distributor/stream_bits": 5}, Streams())
    assert spent.bits == Communication(10 * 1_000_005, 10 * 400_000 + 77)
    assert spent.seconds == 0
    assert spent.participants == ()


@given(SAMPLINGS, st.integers(0, 5), st.integers(1, 50))
def test_who_reports_follows_from_seed_and_round_and_bits_add_up(sampling, seed, round):
    mine = cohorts(sampling, seed=seed)
    cohort = mine.cohort(round, Streams())
    assert cohort == cohorts(sampling, seed=seed).cohort(round, Streams())
    asked, goal = sampling.asked(10), sampling.reporting_goal(10)
    assert cohort.asked == sample_clients(Sized.client_ids, asked, seed, round)
    assert len(cohort.reported) <= goal
    spent = mine.spent(cohort, {}, Streams())
    counts = spent.counts()
    assert sum(counts.values()) == asked == len(spent.participants)
    assert counts["clients/reported"] == len(cohort.reported)
    # Everyone gets the model. Who reports sends all, who is lost nothing, who is cut no more than an update.
    assert spent.bits.broadcasted_bits == asked * PER_CLIENT.broadcasted_bits
    in_vain = spent.bits.aggregated_bits - len(cohort.reported) * PER_CLIENT.aggregated_bits
    assert 0 <= in_vain <= counts["clients/cut"] * PER_CLIENT.aggregated_bits
    assert spent.seconds <= (sampling.deadline or np.inf)


@given(st.integers(0, 100))
def test_overselection_never_makes_a_round_longer(seed):
    """Where nobody is lost, the 10 fastest of 13 are as fast as all of any 10 of them."""
    some, more = (cohorts(SamplingConfig(simulate=True, overselect=share), seed=seed) for share in (1.0, 1.3))
    # Another number of clients is another sample: compare with all of the same 13.
    cohort = more.cohort(1, Streams())
    times = sorted(it.seconds for it in more.spent(cohort, {}, Streams()).participants)
    assert more.spent(cohort, {}, Streams()).seconds == times[9] <= times[12]
    assert len(cohort.reported) == 10
    assert len(some.cohort(1, Streams()).reported) == 10


def simulated(**keys):
    """The participants of a round in which all devices are alike and nothing takes time but the training."""
    sampling = SamplingConfig(compute_sigma=0, bandwidth_sigma=0, seconds_per_example=1, simulate=True)
    mine = cohorts(sampling, per_client=Communication(0, 0), **keys)
    return mine.spent(mine.cohort(1, Streams()), {}, Streams()).participants


@pytest.mark.parametrize(
    ("algorithm", "times"),
    [
        (FedAvg(), 1),
        (FedSGD(), 1),
        (Scaffold(), 1),
        (MimeLite(), 2),
        (FedRecon(support="same", reconstruction_epochs=4), 5),
    ],
)
def test_time_counts_every_gradient_of_the_algorithm(algorithm, times):
    for limits in ({}, {"client_epochs": 3}, {"max_batches_per_client": 2}, {"drop_remainder": True}):
        participants = simulated(algorithm=algorithm, dataset=CONFIG.dataset.replace(**limits))
        assert any(it.examples for it in participants)
        assert [it.seconds for it in participants] == [times * it.examples for it in participants]


@given(st.integers(0, 300), st.integers(1, 20), st.integers(1, 5))
def test_reconstruction_takes_every_other_batch(num_examples, batch_size, epochs):
    algorithm = FedRecon(reconstruction_epochs=epochs)
    batches = [min(batch_size, num_examples - start) for start in range(0, num_examples, batch_size)]
    expected = epochs * sum(batches[::2]) + sum(batches[1::2])
    assert algorithm.computed_examples(num_examples, batch_size) == expected


def test_a_smaller_model_takes_less_time():
    distributor = FederatedDropout(keep=0.25)
    fraction = distributor.compute_fraction(CONFIG.model, CONFIG.dataset.spec)
    assert 0 < fraction < 0.25
    participants = simulated(distributor=distributor)
    assert [it.seconds for it in participants] == pytest.approx([fraction * it.examples for it in participants])


def test_the_clients_that_are_cut_are_those_whose_work_takes_longest():
    """At this deadline a client has time for 100 gradients: with two passes, for 50 of its examples."""
    sampling = SamplingConfig(compute_sigma=0, bandwidth_sigma=0, seconds_per_example=1, deadline=100.0)
    for algorithm, most in ((FedAvg(), 99), (MimeLite(), 50)):
        mine = cohorts(sampling, per_client=Communication(0, 0), algorithm=algorithm, clients_per_round=100)
        assert sorted(mine.cohort(1, Streams()).reported) == [f"c{i:02}" for i in range(most + 1)]


def test_streams_are_expected_as_the_last_round_measured_them():
    # All devices alike, and a deadline that whoever sends more than the types say misses.
    sampling = SamplingConfig(deadline=1.0, compute_sigma=0, bandwidth_sigma=0, seconds_per_example=1e-6)
    mine = cohorts(sampling)
    cohort = mine.cohort(1, Streams())
    assert len(cohort.reported) == 10
    spent = mine.spent(cohort, {"aggregator/stream_bits": 10 * 6_000_000, "distributor/stream_bits": 8}, Streams())
    assert spent.streams == Streams(8, 6_000_000)
    assert spent.seconds == 1.0
    assert spent.bits == Communication(10 * 1_000_008, 10 * 6_400_000)
    nobody = mine.cohort(2, spent.streams)
    assert nobody.reported == []
    # A round that measured nothing passes on what was expected of it.
    after = mine.spent(nobody, {}, spent.streams)
    assert after.streams == spent.streams
    assert after.bits.broadcasted_bits == 10 * 1_000_008


def test_clients_that_keep_the_model_get_it_though_they_are_lost_or_cut():
    per_client = Communication(1_000_000, 400_000, change_bits=900_000)
    sampling = SamplingConfig(dropout=0.4, overselect=1.5)
    mine = cohorts(sampling, per_client=per_client, changes=ChangeAccount(5_000_000), clients_per_round=60)
    first = mine.cohort(1, Streams())
    assert 0 < len(first.reported) < 90
    assert mine.spent(first, {}, Streams()).bits.broadcasted_bits == 90 * (100_000 + 5_000_000)
    second = mine.cohort(2, Streams())
    again = len(set(first.asked) & set(second.asked))
    new = 90 - again
    expected = again * 1_000_000 + new * (100_000 + 5_000_000)
    assert mine.spent(second, {}, Streams()).bits.broadcasted_bits == expected


def test_a_round_without_a_report_is_no_change_of_the_model():
    per_client = Communication(900_000, 400_000, change_bits=900_000)
    account = ChangeAccount(5_000_000)
    mine = cohorts(SamplingConfig(deadline=1e-9), per_client=per_client, changes=account, clients_per_round=100)
    for round in (1, 2):
        cohort = mine.cohort(round, Streams())
        assert cohort.reported == []
        assert mine.spent(cohort, {}, Streams()).bits == Communication(100 * 5_000_000, 0)


def test_nothing_is_spent_at_first():
    assert Spent().counts() == {"clients/reported": 0, "clients/dropped": 0, "clients/cut": 0}


@given(SAMPLINGS | st.just(SamplingConfig()), st.integers(0, 5), st.sets(st.sampled_from(Sized.client_ids)))
def test_clients_without_a_batch_get_the_model_and_send_nothing(sampling, seed, idle):
    mine = cohorts(sampling, seed=seed, idle=idle)
    cohort = mine.cohort(1, Streams())
    assert idle.isdisjoint(cohort.reported)
    assert set(cohort.left_out) <= idle & set(cohort.asked)
    assert cohort.row() == {"clients/left_out": len(cohort.left_out)}
    spent = mine.spent(cohort, {}, Streams())
    assert spent.bits.broadcasted_bits == len(cohort.asked) * PER_CLIENT.broadcasted_bits
    if not sampling.is_simulated:
        assert sorted([*cohort.reported, *cohort.left_out]) == sorted(cohort.asked)
        assert spent.bits.aggregated_bits == len(cohort.reported) * PER_CLIENT.aggregated_bits
        return
    counts = spent.counts()
    assert sum(counts.values()) + len(cohort.left_out) == len(cohort.asked)
    outcomes = {it.client: it.outcome for it in spent.participants}
    assert [client for client in cohort.asked if outcomes[client] == "left_out"] == cohort.left_out


@given(st.integers(0, 5), st.integers(0, 10))
def test_clients_whose_updates_are_not_finite_send_nothing(seed, count):
    mine = cohorts(SamplingConfig(simulate=True), seed=seed)
    before = mine.cohort(1, Streams())
    cohort = before.without(before.reported[:count])
    assert cohort.reported == before.reported[count:]
    spent = mine.spent(cohort, {"aggregator/stream_bits": 100 * len(cohort.reported)}, Streams(up=100.0))
    assert spent.bits.aggregated_bits == len(cohort.reported) * (PER_CLIENT.aggregated_bits + 100)
    assert spent.streams.up == 100.0
    assert [it.outcome for it in spent.participants].count("left_out") == count
    # They trained, and the server waited for them.
    everybody = {"aggregator/stream_bits": 100 * len(before.reported)}
    assert spent.seconds == mine.spent(before, everybody, Streams(up=100.0)).seconds
