"""fedcli's models in PyTorch, for the peers that use it, with the plan's initial weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.sides.protocol import Array, Plan


class CNN(nn.Module):
    """The CNN of the FedAvg paper; see `fedcli.models.cnn`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 32, 5, padding=2)
        self.second = nn.Conv2d(32, 64, 5, padding=2)
        self.hidden = nn.Linear(7 * 7 * 64, 512)
        self.out = nn.Linear(512, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes logits [b, classes] from images [b, 28, 28, 1]."""
        x = x.reshape(-1, 1, 28, 28)
        x = functional.max_pool2d(functional.relu(self.first(x)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        return self.out(functional.relu(self.hidden(x.flatten(1))))

    def load(self, weights: list[Array]) -> None:
        """Takes Keras's weights."""
        first, first_bias, second, second_bias, hidden, *rest = weights
        # Keras flattens [height, width, channels], PyTorch [channels, height, width].
        hidden = hidden.reshape(7, 7, 64, -1).transpose(2, 0, 1, 3).reshape(7 * 7 * 64, -1)
        convolutions = [first.transpose(3, 2, 0, 1), first_bias, second.transpose(3, 2, 0, 1), second_bias]
        _assign(self, [*convolutions, hidden.T, rest[0], rest[1].T, rest[2]])


class MLP(nn.Module):
    """Two hidden layers of 200; see `fedcli.models.mlp`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(784, 200), nn.Linear(200, 200), nn.Linear(200, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes logits [b, classes] from images [b, 28, 28, 1]."""
        return self.out(functional.relu(self.second(functional.relu(self.first(x.flatten(1))))))

    def load(self, weights: list[Array]) -> None:
        """Takes Keras's weights."""
        _assign(self, [weight.T for weight in weights])


class CharRNN(nn.Module):
    """Embedding, GRU, Dense; see `fedcli.models.char_rnn`. PyTorch's GRU has the form `reset_after`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, 256)
        self.gru = nn.GRU(256, 1024, batch_first=True)
        self.out = nn.Linear(1024, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes logits [b, classes, t] from characters [b, t]."""
        states, _ = self.gru(self.embedding(x))
        return self.out(states).transpose(1, 2)

    def load(self, weights: list[Array]) -> None:
        """Takes Keras's weights."""
        embedding, kernel, recurrent, bias, out, out_bias = weights

        def gates(of: Array) -> Array:
            # Keras has the update gate first, PyTorch the reset gate.
            update, reset, candidate = np.split(of, 3, axis=-1)
            return np.concatenate([reset, update, candidate], axis=-1).T

        _assign(self, [embedding, gates(kernel), gates(recurrent), gates(bias[0]), gates(bias[1]), out.T, out_bias])


def build(plan: Plan) -> CNN | MLP | CharRNN:
    """Builds the plan's model with its initial weights."""
    model = {"cnn": CNN, "mlp": MLP, "char_rnn": CharRNN}[plan.settings["model"]](plan.classes)
    model.load(plan.weights)
    return model


def tensors(x: Array, y: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Makes PyTorch's tensors of examples: it wants 64-bit labels."""
    return torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y.astype(np.int64))


@torch.no_grad()
def evaluate(model: nn.Module, plan: Plan) -> tuple[float, float]:
    """Returns accuracy and loss on the held-out examples."""
    x, y = tensors(*plan.test)
    hits = loss = 0.0
    for start in range(0, len(x), 256):
        logits = model(x[start : start + 256])
        targets = y[start : start + 256]
        hits += float((logits.argmax(1) == targets).sum())
        loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
    return hits / y.numel(), loss / y.numel()


def _assign(model: nn.Module, values: list[Array]) -> None:
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
