"""The median of each number, against NumPy's."""

import numpy as np
import pytest

from fedcli.aggregators.coordinate_median import CoordinateMedian
from fedcli.algorithms.fed_avg import FedAvg
from tests.aggregators.rounds import COUNTS, assert_moved, updates


@pytest.mark.parametrize("counts", [COUNTS, COUNTS[:4], COUNTS[:1]])
def test_a_round_agrees_with_numpy(compiled, play, counts):
    (round,) = play(compiled(FedAvg(), aggregator=CoordinateMedian()), counts=counts)
    assert_moved(round, np.median(updates(round), axis=0))


def test_the_order_of_clients_changes_nothing():
    from fedcli.aggregators.processes.rules import coordinate_median

    sent = np.random.default_rng(0).normal(size=(8, 50)).astype(np.float32)
    ones = np.ones(8, np.float32)
    np.testing.assert_array_equal(coordinate_median(sent, ones), coordinate_median(sent[::-1], ones))
