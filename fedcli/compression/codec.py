"""What a codec is: how a vector of numbers becomes the message that travels, and is read from it again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any, TypeAlias

import tensorflow as tf

from fedcli.runtime.engine.communication import STREAM

#: Tensors by name, perhaps nested; travels whole. A tensor called `STREAM` has a length that depends on the values.
Message: TypeAlias = "OrderedDict[str, Any]"

#: What the server learns from one message; tensors by name, perhaps nested.
Observed: TypeAlias = "OrderedDict[str, Any]"


class Codec(ABC):
    """Encodes a vector of `size` float32 numbers.

    Everything is pure TensorFlow without variables, since it runs in graphs on clients and server. Messages describe
    themselves: what the decoder must know beside the codec itself is in the message, and its bits are counted.

    A codec may learn from round to round: the server keeps `initial_state`, sends `parameters` of it to the clients,
    sums what it observes while it decodes their messages, and makes the next state of that by `update`.

    Args:
        size: Numbers in the vector.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    @abstractmethod
    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Encodes a vector.

        Args:
            x: float32 [size].
            parameters: What `parameters` gave.
            seed: int32 [2], new for each client and round: what random operations derive from.
        """

    @abstractmethod
    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Reads a message.

        Returns:
            The vector, float32 [size], and what `update` gets of it, summed over clients.
        """

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """Makes what the server keeps from round to round; nothing by default."""
        return OrderedDict()

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """Chooses what of the state the clients get; nothing by default."""
        return OrderedDict()

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """Makes the next state.

        Args:
            state: The state of this round.
            observed: What `decode` observed, summed over clients.
            clients: float32 scalar, the number of clients.
        """
        return OrderedDict()


class WrappingCodec(Codec):
    """Sends something else than the vector by another codec, whose state is its own.

    Args:
        size: Numbers in the vector.
        inner: The codec of what is sent.
    """

    def __init__(self, size: int, inner: Codec) -> None:
        super().__init__(size)
        self._inner = inner

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """That of the inner codec."""
        return self._inner.initial_state()

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """Those of the inner codec."""
        return self._inner.parameters(state)

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """That of the inner codec."""
        return self._inner.update(state, observed, clients)


def new_seed() -> tf.Tensor:
    """Draws a seed, int32 [2], by the one kind of random operation that the runtimes make follow the run's seed."""
    return tf.random.uniform([2], minval=tf.int32.min, maxval=tf.int32.max, dtype=tf.int32)


def derived(seed: tf.Tensor, purpose: int) -> tf.Tensor:
    """Derives the seed, int32 [2], of one purpose from another, so that two draws are independent."""
    return tf.random.experimental.stateless_fold_in(seed, purpose, alg="philox")


def uniform(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Draws float32 numbers in [0, 1); the same seed gives the same numbers on every machine."""
    return tf.random.stateless_uniform(shape, seed, alg="philox")


def stream_bits(message: Any) -> tf.Tensor:
    """Counts the bits of all streams in a message, int64."""
    bits = tf.constant(0, tf.int64)
    for name, value in message.items():
        if isinstance(value, dict):
            bits += stream_bits(value)
        elif name == STREAM:
            bits += 8 * tf.size(value, tf.int64)
    return bits
