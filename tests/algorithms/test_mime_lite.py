"""MimeLite against its formulas in NumPy."""

import math

import numpy as np
import pytest

from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.mime_lite import MimeLite
from fedcli.optimizers.adam import Adam
from fedcli.optimizers.sgd import SGD
from tests.algorithms.softmax import mean


class Momentum:
    """SGD with a momentum: from the server's state and a gradient to the next state and the step."""

    config = SGD(learning_rate=0.1, momentum=0.9)

    def first(self, zero):
        return zero

    def step(self, velocity, gradient):
        velocity = 0.9 * velocity + gradient
        return velocity, 0.1 * velocity


class AdamSteps:
    """Adam, as `tests.optimizers` has it."""

    config = Adam(learning_rate=0.01, epsilon=1e-3)

    def first(self, zero):
        return 0, zero, zero

    def step(self, state, gradient):
        t, m, v = state
        t, m = t + 1, 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient.map(np.square)
        rate = 0.01 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return (t, m, v), m.map(lambda m, v: rate * m / (np.sqrt(v) + 1e-3), v)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("optimizer", [Momentum(), AdamSteps()], ids=["momentum", "adam"])
def test_two_rounds_agree_with_numpy(compiled, play, optimizer, weighted):
    program = compiled(MimeLite(weighted=weighted), optimizer.config)
    state = None
    for round in play(program, rounds=2):
        state = optimizer.first(round.before.zero) if state is None else state
        models, gradients = [], []
        for client in round.batches:
            model = round.before
            for batch in client:
                model -= optimizer.step(state, model.gradient(batch))[1]
            models.append(model)
            gradients.append(round.before.gradient(tuple(np.concatenate(x) for x in zip(*client, strict=True))))
        weights = round.sizes if weighted else None
        state, _ = optimizer.step(state, mean(gradients, weights))
        round.after.assert_close(mean(models, weights), rtol=2e-4, atol=2e-6)


def test_momentum_and_gradient_go_beside_model_and_update(compiled):
    model = 32 * (36 * 4 + 4)
    ours = compiled(MimeLite(), Momentum.config).communication
    theirs = compiled(FedAvg(), Momentum.config).communication
    assert ours.broadcasted_bits == theirs.broadcasted_bits + model
    # The gradient comes with a weight of its own.
    assert ours.aggregated_bits == theirs.aggregated_bits + model + 32
