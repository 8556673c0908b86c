"""Two dense layers with ReLU between them in NumPy, in float64, of which only some weights are trained.

Weights are [kernel, bias, kernel, bias].
"""

import numpy as np


def _forward(weights, x):
    first, first_bias, second, second_bias = weights
    x = x.reshape(len(x), -1).astype(np.float64)
    hidden = np.maximum(x @ first + first_bias, 0)
    logits = hidden @ second + second_bias
    p = np.exp(logits - logits.max(1, keepdims=True))
    return x, hidden, p / p.sum(1, keepdims=True)


def gradient(weights, batch):
    """The gradient of the mean cross-entropy of a batch (x, y)."""
    y = batch[1]
    x, hidden, p = _forward(weights, batch[0])
    p[np.arange(len(y)), y] -= 1
    p /= len(y)
    back = (p @ np.asarray(weights[2], np.float64).T) * (hidden > 0)
    return [x.T @ back, back.sum(0), hidden.T @ p, p.sum(0)]


def stepped(weights, some, rate, batches):
    """The weights after a step along each batch's gradient, of which only some take part, by their positions."""
    weights = [np.asarray(w, np.float64) for w in weights]
    for batch in batches:
        slopes = gradient(weights, batch)
        weights = [w - rate * slopes[i] if i in some else w for i, w in enumerate(weights)]
    return weights


def evaluated(weights, examples):
    """The mean cross-entropy and the accuracy."""
    p = _forward(weights, examples.x)[2]
    return -np.log(p[np.arange(len(p)), examples.y]).mean(), (p.argmax(1) == examples.y).mean()
