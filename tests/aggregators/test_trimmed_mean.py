"""The mean without the largest and smallest numbers, against NumPy."""

import numpy as np
import pytest

from fedcli.aggregators.trimmed_mean import TrimmedMean
from fedcli.algorithms.fed_avg import FedAvg
from tests.aggregators.rounds import COUNTS, assert_moved, updates


def trimmed_mean(sent, left_out):
    ordered = np.sort(sent, axis=0)
    return ordered[left_out : len(sent) - left_out].mean(axis=0)


def test_a_round_agrees_with_numpy(compiled, play):
    (round,) = play(compiled(FedAvg(), aggregator=TrimmedMean(trim=0.3)), counts=COUNTS)
    assert_moved(round, trimmed_mean(updates(round), 2))


@pytest.mark.parametrize(
    ("trim", "clients", "left_out"),
    [(0.0, 5, 0), (0.1, 9, 0), (0.1, 10, 1), (0.29, 100, 29), (0.49, 3, 1), (0.49, 1, 0), (0.3, 10, 3)],
)
def test_the_number_left_out_is_rounded_down(trim, clients, left_out):
    from fedcli.aggregators.processes.rules import trimmed_mean as rule

    sent = np.random.default_rng(clients).normal(size=(clients, 20)).astype(np.float32)
    found = rule(trim)(sent, np.ones(clients, np.float32))
    np.testing.assert_allclose(found, trimmed_mean(sent, left_out), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("trim", [-0.1, 0.5, float("nan")])
def test_problems_name_the_field(trim):
    assert [field for field, _ in TrimmedMean(trim=trim).problems()] == ["trim"]
    assert not list(TrimmedMean().problems())
