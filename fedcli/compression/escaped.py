"""Signed integers of any size for a code with a table: small ones as symbols, the others after an escape symbol."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message, Observed
from fedcli.compression.coders.elias import decode, encode
from fedcli.compression.quantized import SymbolCoder
from fedcli.runtime.engine.communication import STREAM

_SMALLEST, _LARGEST = -126, 127
_ESCAPE = 0
#: Symbols are 0 ... ALPHABET - 1: the escape, and one for each small integer.
ALPHABET = _LARGEST - _SMALLEST + 2


class Escaped(SymbolCoder):
    """Codes the integers -126 ... 127 by a coder of symbols, and all others Elias-gamma coded in a second stream.

    The symbol 0 stands for the next integer of the second stream. Where all integers are small, that stream is empty
    and costs nothing.

    Args:
        inner: The coder of the symbols, whose alphabet has `ALPHABET` symbols.
    """

    def __init__(self, inner: SymbolCoder) -> None:
        self._inner = inner

    def encode(self, symbols: tf.Tensor, parameters: Any) -> Message:
        """Encodes int32 [size], any values."""
        bounded = _bounded(symbols)
        large = tf.boolean_mask(symbols, tf.equal(bounded, _ESCAPE))
        return OrderedDict(symbols=self._inner.encode(bounded, parameters), large=OrderedDict({STREAM: encode(large)}))

    def decode(self, message: Message, size: int) -> tf.Tensor:
        """Reads int32 [size]."""
        bounded = self._inner.decode(message["symbols"], size)
        places = tf.where(tf.equal(bounded, _ESCAPE))
        large = decode(message["large"][STREAM], tf.size(places))
        return tf.tensor_scatter_nd_update(bounded + _SMALLEST - 1, places, large)

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """Returns the inner coder's state."""
        return self._inner.initial_state()

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """Returns the inner coder's parameters."""
        return self._inner.parameters(state)

    def observe(self, symbols: tf.Tensor, message: Message) -> Observed:
        """Lets the inner coder observe its symbols."""
        return self._inner.observe(_bounded(symbols), message["symbols"])

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """Updates the inner coder's state."""
        return self._inner.update(state, observed, clients)


def _bounded(integers: tf.Tensor) -> tf.Tensor:
    is_small = tf.logical_and(integers >= _SMALLEST, integers <= _LARGEST)
    return tf.where(is_small, integers - _SMALLEST + 1, _ESCAPE)
