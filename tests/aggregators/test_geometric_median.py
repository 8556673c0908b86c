"""The geometric median, against NumPy and against what it is to minimise."""

import numpy as np
import pytest

from fedcli.aggregators.geometric_median import GeometricMedian
from fedcli.algorithms.fed_avg import FedAvg
from tests.aggregators.rounds import COUNTS, assert_moved, updates


def weiszfeld(sent, weights, iterations, smoothing=1e-6):
    middle = np.average(sent, axis=0, weights=weights)
    for _ in range(iterations - 1):
        distances = np.sqrt(((sent - middle) ** 2).sum(axis=1))
        middle = np.average(sent, axis=0, weights=weights / np.maximum(distances, smoothing))
    return middle


@pytest.mark.parametrize("weighted", [True, False])
def test_a_round_agrees_with_numpy(compiled, play, weighted):
    (round,) = play(compiled(FedAvg(weighted=weighted), aggregator=GeometricMedian()), counts=COUNTS)
    weights = round.sizes if weighted else np.ones(len(COUNTS))
    assert_moved(round, weiszfeld(updates(round), weights, 5))


def test_the_sum_of_distances_becomes_smallest():
    from fedcli.aggregators.processes.rules import geometric_median

    rng = np.random.default_rng(0)
    sent, weights = rng.normal(size=(9, 4)).astype(np.float32), rng.uniform(1, 5, 9).astype(np.float32)

    def cost(point):
        return (weights * np.linalg.norm(sent - point, axis=1)).sum()

    found = np.asarray(geometric_median(100, 1e-6)(sent, weights))
    for _ in range(100):
        assert cost(found) <= cost(found + rng.normal(scale=0.05, size=4)) + 1e-4
    assert cost(found) < cost(np.average(sent, axis=0, weights=weights)) - 0.01


def test_one_iteration_is_the_mean_and_equal_updates_divide_by_no_zero():
    from fedcli.aggregators.processes.rules import geometric_median

    sent, weights = np.array([[1.0, 2.0], [3.0, 6.0]], np.float32), np.array([3.0, 1.0], np.float32)
    np.testing.assert_allclose(geometric_median(1, 1e-6)(sent, weights), [1.5, 3.0])
    np.testing.assert_allclose(geometric_median(5, 1e-6)(sent[[0, 0]], weights), [1.0, 2.0])


@pytest.mark.parametrize("size", [1e3, 1e25])
def test_far_updates_count_little(size):
    """The square of the larger one overflows."""
    from fedcli.aggregators.processes.rules import geometric_median

    rng = np.random.default_rng(0)
    sent = np.concatenate([rng.normal(1, 0.1, size=(8, 30)), np.full((2, 30), size)]).astype(np.float32)
    found = np.asarray(geometric_median(12, 1e-6)(sent, np.ones(10, np.float32)))
    assert np.abs(found - 1).max() < 0.3


def test_problems_name_the_fields():
    wrong = GeometricMedian(iterations=0, smoothing=0.0)
    assert [field for field, _ in wrong.problems()] == ["iterations", "smoothing"]
    assert not list(GeometricMedian().problems())
