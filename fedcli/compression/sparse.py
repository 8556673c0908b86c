"""Sends some of the numbers: the largest, with their places, or a random choice, whose places follow from a seed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Codec, Message, Observed, WrappingCodec, derived
from fedcli.compression.coders.bits import pack, unpack
from fedcli.compression.coders.elias import decode_gaps, encode_gaps
from fedcli.runtime.engine.communication import STREAM


class TopK(WrappingCodec):
    """The numbers of largest magnitude; the others count as zero.

    Aji and Heafield 2017, "Sparse Communication for Distributed Gradient Descent", https://arxiv.org/abs/1704.05021.

    Args:
        size: Numbers in the vector.
        inner: The codec of the numbers that are sent; its size is their number.
    """

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Sends places, as Elias-gamma coded distances, and values."""
        places = _largest(tf.abs(x), self._inner.size)
        return OrderedDict(
            [(STREAM, encode_gaps(places)), ("values", self._inner.encode(tf.gather(x, places), parameters, seed))]
        )

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Puts values at their places, zero elsewhere."""
        places = decode_gaps(message[STREAM], self._inner.size)
        values, observed = self._inner.decode(message["values"])
        return _scattered(places, values, self.size), observed


class RandomMask(WrappingCodec):
    """A random choice of the numbers, scaled up so that the expectation is exact.

    Konečný et al. 2016, "Federated Learning: Strategies for Improving Communication Efficiency", section 3,
    https://arxiv.org/abs/1610.05492. The seed (64 bits) tells the places.

    Args:
        size: Numbers in the vector.
        inner: The codec of the numbers that are sent; its size is their number.
    """

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Sends the seed and the values."""
        chosen = tf.gather(x, self._places(seed)) * (self.size / self._inner.size)
        return OrderedDict(mask=seed, values=self._inner.encode(chosen, parameters, derived(seed, 1)))

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Puts values at their places, zero elsewhere."""
        values, observed = self._inner.decode(message["values"])
        return _scattered(self._places(message["mask"]), values, self.size), observed

    def _places(self, seed: tf.Tensor) -> tf.Tensor:
        keys = tf.random.stateless_uniform([self.size], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox")
        return _largest(keys, self._inner.size)


class Whole(Codec):
    """Numbers as they are, 32 bits each."""

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Sends them."""
        return OrderedDict(values=x)

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Takes them."""
        return message["values"], OrderedDict()


class Signs(Codec):
    """Signs, and one magnitude for all: the mean.

    Sattler et al. 2019, "Robust and Communication-Efficient Federated Learning from Non-IID Data" (sparse ternary
    compression, with `TopK`), https://arxiv.org/abs/1903.02891.
    """

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Sends a bit a number and the mean magnitude (32 bits)."""
        signs = pack(tf.cast(x < 0, tf.int32), 1)
        return OrderedDict(magnitude=tf.reduce_mean(tf.abs(x)), signs=tf.ensure_shape(signs, [-(-self.size // 8)]))

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Returns plus or minus the magnitude."""
        signs = 1.0 - 2.0 * tf.cast(unpack(message["signs"], 1, self.size), tf.float32)
        return message["magnitude"] * signs, OrderedDict()


def _largest(x: tf.Tensor, count: int) -> tf.Tensor:
    """Returns where the largest numbers are, int32 [count], ascending; of equal ones, the first."""
    return tf.sort(tf.math.top_k(x, count, sorted=False).indices)


def _scattered(places: tf.Tensor, values: tf.Tensor, size: int) -> tf.Tensor:
    return tf.scatter_nd(places[:, tf.newaxis], values, [size])
