"""Low-rank updates: a random matrix that follows from a seed, times a small one that travels.

Konečný et al. 2016, "Federated Learning: Strategies for Improving Communication Efficiency", section 2 (structured
updates, low rank), https://arxiv.org/abs/1610.05492. There the client trains the small matrix; here it trains as
always and projects its update, which is the same for one step of gradient descent and better for more.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Codec, Message, Observed, derived


class LowRank(Codec):
    """Projects the columns of a matrix onto a random subspace, drawn anew for each client and round.

    The last dimension of a tensor counts the columns, the product of the others the rows: a convolution kernel
    [height, width, in, out] is a matrix [height * width * in, out]. A matrix [m, n] becomes one of [rank, n].

    Args:
        shape: The tensor's shape.
        rank: Dimensions of the subspace.
        unbiased: Whether to scale the projection by m / rank, which makes its expectation exact and its squared error
            m / rank - 1 times the squared norm; otherwise it is 1 - rank / m of that, the smallest for this subspace.
        values: Makes the codec of so many projected numbers.
    """

    def __init__(self, shape: Sequence[int], rank: int, unbiased: bool, values: Callable[[int], Codec]) -> None:
        super().__init__(math.prod(shape))
        self._columns = shape[-1]
        self._rows = self.size // self._columns
        self._rank = min(rank, self._rows)
        self._scale = self._rows / self._rank if unbiased else 1.0
        self._values = values(self._rank * self._columns)

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Projects; the subspace's seed travels with the projection (64 bits)."""
        matrix = tf.reshape(x, [self._rows, self._columns])
        projected = tf.reshape(tf.matmul(self._basis(seed), matrix, transpose_a=True), [-1])
        return OrderedDict(basis=seed, projected=self._values.encode(projected, parameters, derived(seed, 1)))

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Returns the vector in the subspace."""
        projected, observed = self._values.decode(message["projected"])
        matrix = tf.matmul(self._basis(message["basis"]), tf.reshape(projected, [self._rank, self._columns]))
        return tf.reshape(matrix, [-1]) * self._scale, observed

    def initial_state(self) -> OrderedDict[str, Any]:
        """That of the values' codec."""
        return self._values.initial_state()

    def parameters(self, state: Any) -> OrderedDict[str, Any]:
        """Those of the values' codec."""
        return self._values.parameters(state)

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, Any]:
        """That of the values' codec."""
        return self._values.update(state, observed, clients)

    def _basis(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws orthonormal columns, float32 [rows, rank], of which every direction is equally likely."""
        normal = tf.random.stateless_normal([self._rows, self._rank], seed, alg="philox")
        return tf.linalg.qr(normal).q
