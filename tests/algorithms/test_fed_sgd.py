"""Federated SGD against its formulas in NumPy."""

import numpy as np
import pytest

from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_sgd import FedSGD
from fedcli.optimizers.sgd import SGD
from tests.algorithms.softmax import mean


@pytest.mark.parametrize("weighted", [True, False])
def test_two_rounds_agree_with_numpy(compiled, play, weighted):
    program = compiled(FedSGD(weighted=weighted), server=SGD(learning_rate=0.3, momentum=0.5))
    velocity = None
    for round in play(program, rounds=2):
        gradients = []
        for client in round.batches:
            everything = tuple(np.concatenate(part) for part in zip(*client, strict=True))
            gradients.append(round.before.gradient(everything))
        gradient = mean(gradients, round.sizes if weighted else None)
        velocity = gradient if velocity is None else 0.5 * velocity + gradient
        round.after.assert_close(round.before - 0.3 * velocity)


def test_it_costs_what_fed_avg_does_but_for_the_clients_learning_rate(compiled):
    ours, theirs = compiled(FedSGD()).communication, compiled(FedAvg()).communication
    assert ours.aggregated_bits == theirs.aggregated_bits
    assert ours.broadcasted_bits == theirs.broadcasted_bits - 32


def test_clients_without_examples_change_nothing(compiled, play):
    (with_empty,), (without,) = play(compiled(FedSGD()), counts=[5, 0]), play(compiled(FedSGD()), counts=[5])
    with_empty.after.assert_close(without.after, rtol=0, atol=0)
