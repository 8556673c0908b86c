"""Adaptive zeroing and clipping, against their formulas in NumPy."""

import itertools

import numpy as np
import pytest

from fedcli.aggregators.robust import Robust
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.optimizers.sgd import SGD
from tests.aggregators.rounds import COUNTS, assert_moved, updates

#: Large enough for updates beyond both bounds.
RATE = 3.5


def test_rounds_agree_with_numpy(compiled, play):
    aggregator = Robust(zeroing_quantile=0.1, clipping_quantile=0.9)
    program = compiled(FedAvg(), SGD(learning_rate=RATE), aggregator=aggregator)
    largest, norm = 10.0, 1.0
    clipped, zeroed_in = [], []
    for round in play(program, rounds=8, counts=COUNTS):
        sent = updates(round, RATE)
        zeroed = np.abs(sent).max(axis=1) > 2 * largest + 1
        # The bounds follow the shares of clients that are at most at them, by a geometric step.
        below_largest = (np.abs(sent).max(axis=1) <= largest).mean()
        sent[zeroed] = 0
        norms = np.linalg.norm(sent, axis=1)
        clipped.append((norms > norm).sum())
        zeroed_in.append(zeroed.sum())
        sent *= np.minimum(1, norm / np.maximum(norms, 1e-12))[:, np.newaxis]
        assert_moved(round, np.average(sent, axis=0, weights=round.sizes))
        assert round.result.metrics["aggregator/zeroing/clipping_norm"] == pytest.approx(norm, rel=1e-4)
        assert round.result.metrics["aggregator/zeroing_norm"] == pytest.approx(2 * largest + 1, rel=1e-4)
        norm *= np.exp(-0.2 * ((norms <= norm).mean() - 0.9))
        largest *= np.exp(-np.log(10) * (below_largest - 0.1))
    assert any(0 < count < len(COUNTS) for count in clipped)
    assert any(0 < count < len(COUNTS) for count in zeroed_in)


def test_the_defaults_are_tffs():
    import tensorflow_federated as tff

    from tests.aggregators.test_aggregators import SMALL, process

    for zeroing, clipping in itertools.product([True, False], repeat=2):
        theirs = tff.learning.robust_aggregator(zeroing=zeroing, clipping=clipping, weighted=False).create(SMALL)
        ours = process("robust", zeroing=zeroing, clipping=clipping)
        assert str(ours.next.type_signature) == str(theirs.next.type_signature)


def test_problems_name_the_fields():
    wrong = Robust(zeroing_quantile=1.1, clipping_quantile=-0.1)
    assert [field for field, _ in wrong.problems()] == ["zeroing_quantile", "clipping_quantile"]
    assert not list(Robust().problems())
