"""What clients send in a round of federated averaging, computed in NumPy, in float64."""

import numpy as np

#: Examples of the seven clients of a round.
COUNTS = [17, 4, 9, 12, 6, 20, 3]


def updates(round, learning_rate=0.1):
    """The updates of a `tests.algorithms.conftest.Round`, [clients, numbers]: how models have moved."""
    sent = []
    for client in round.batches:
        model = round.before
        for batch in client:
            model -= learning_rate * model.gradient(batch)
        sent.append(vector(model - round.before))
    return np.array(sent)


def vector(model):
    return np.concatenate([model.kernel.ravel(), model.bias])


def assert_moved(round, update, atol=1e-6):
    """Asserts that the server's model has moved so."""
    before = vector(round.before)
    np.testing.assert_allclose(vector(round.after), before + update, rtol=1e-4, atol=atol)
    assert np.abs(update).max() > 1e-3
