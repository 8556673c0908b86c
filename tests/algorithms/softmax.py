"""Softmax regression in NumPy, in float64: what clients do in a round, step by step, without TensorFlow."""

import numpy as np

from tests.runtime.conftest import examples


class Model:
    """A kernel and a bias; adds and scales like a vector."""

    def __init__(self, kernel, bias):
        self.kernel, self.bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)

    @classmethod
    def of(cls, compiled, state):
        """Reads the model of a server's state."""
        return cls(*(state[i] for i in compiled.model_weights()[0]))

    def __add__(self, other):
        return Model(self.kernel + other.kernel, self.bias + other.bias)

    def __mul__(self, factor):
        return Model(self.kernel * factor, self.bias * factor)

    __rmul__ = __mul__

    def __sub__(self, other):
        return self + -1 * other

    def map(self, function, *others):
        """Applies a function to each number."""
        return Model(
            function(self.kernel, *(other.kernel for other in others)),
            function(self.bias, *(other.bias for other in others)),
        )

    @property
    def zero(self):
        return 0 * self

    def gradient(self, batch):
        """The gradient of the mean cross-entropy of a batch (x, y)."""
        x, y = batch
        x = x.reshape(len(x), -1).astype(np.float64)
        logits = x @ self.kernel + self.bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        return Model(x.T @ p / len(y), p.mean(0))

    def assert_close(self, other, rtol=1e-4, atol=1e-6):
        np.testing.assert_allclose(self.kernel, other.kernel, rtol, atol)
        np.testing.assert_allclose(self.bias, other.bias, rtol, atol)


def batches(client, work, count):
    """The batches of a `tests.runtime.conftest.work`, in the order in which it trains on them."""
    data, order = examples(client, count), work.order(count)
    starts = range(0, len(order), work.batch_size)
    rows = [order[start : start + work.batch_size] for start in starts]
    return [(data.x[some], data.y[some]) for some in rows]


def mean(models, weights=None):
    """The mean of models, by weights."""
    weights = np.ones(len(models)) if weights is None else np.asarray(weights, np.float64)
    total = models[0].zero
    for model, weight in zip(models, weights / weights.sum(), strict=True):
        total += weight * model
    return total
