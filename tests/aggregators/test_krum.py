"""Krum and Multi-Krum, against NumPy."""

import itertools

import numpy as np
import pytest

from fedcli.aggregators.krum import Krum
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.errors import ConfigError
from tests.aggregators.rounds import COUNTS, assert_moved, updates


def scores(sent, byzantine):
    """Pair by pair, as the paper writes it down."""
    result = []
    for i, one in enumerate(sent):
        distances = sorted(((one - other) ** 2).sum() for j, other in enumerate(sent) if j != i)
        result.append(sum(distances[: len(sent) - byzantine - 2]))
    return np.array(result)


def test_a_round_agrees_with_numpy(compiled, play):
    (round,) = play(compiled(FedAvg(), aggregator=Krum(byzantine=1, selected=3)), counts=COUNTS)
    sent = updates(round)
    best = np.argsort(scores(sent, 1))[:3]
    assert_moved(round, sent[best].mean(axis=0))


def krum(sent, byzantine=None, selected=1):
    from fedcli.aggregators.processes.rules import krum as rule

    return np.asarray(rule(byzantine, selected)(sent.astype(np.float32), np.ones(len(sent), np.float32)))


@pytest.mark.parametrize("clients", [3, 4, 5, 10, 11])
def test_none_assumes_as_many_as_the_clients_allow(clients):
    sent = np.random.default_rng(clients).normal(size=(clients, 6))
    most = max(f for f in range(clients) if 2 * f + 2 < clients)
    expected = sent[np.argmin(scores(sent, most))]
    np.testing.assert_allclose(krum(sent), expected, rtol=1e-6)
    # Nor does it assume more, where fewer report than were asked.
    np.testing.assert_allclose(krum(sent, byzantine=100), expected, rtol=1e-6)


def test_far_updates_are_not_chosen():
    rng = np.random.default_rng(0)
    # The square of the second overflows.
    for size, selected in itertools.product((1e6, 1e25), (1, 7)):
        honest, far = rng.normal(1, 0.1, size=(7, 30)), rng.normal(0, size, size=(3, 30))
        assert np.abs(krum(np.concatenate([far, honest]), selected=selected) - 1).max() < 0.5


def test_one_and_two_clients_have_a_result():
    sent = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(krum(sent[:1]), sent[0])
    np.testing.assert_array_equal(krum(sent), sent[0])
    np.testing.assert_array_equal(krum(sent, selected=5), [2.0, 3.0])


@pytest.mark.parametrize(
    ("keys", "reports", "hint"),
    [
        ({}, 2, "clients_per_round to at least 3"),
        ({"byzantine": 3}, 8, "clients_per_round to at least 9, or lower aggregator.byzantine"),
        ({"selected": 8}, 10, "aggregator.selected to at most 7"),
    ],
)
def test_too_few_clients_are_refused(keys, reports, hint):
    with pytest.raises(ConfigError) as refusal:
        Krum(**keys).check_reports(reports)
    assert hint in refusal.value.hint


def test_enough_clients_are_taken():
    Krum().check_reports(3)
    Krum(byzantine=3, selected=6).check_reports(9)


def test_problems_name_the_fields():
    assert [field for field, _ in Krum(byzantine=-1, selected=0).problems()] == ["byzantine", "selected"]
    assert not list(Krum().problems())
