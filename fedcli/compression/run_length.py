"""Symbols, most of them zero, as Elias-gamma coded runs of zeros and what is between them: a code without a table."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message
from fedcli.compression.coders.elias import decode, encode
from fedcli.compression.quantized import SymbolCoder
from fedcli.runtime.engine.communication import STREAM


class RunLength(SymbolCoder):
    """Codes integers of any size; see `fedcli.compression.coders.elias`.

    Args:
        zero: The symbol of the number zero: what lies around it is short to write.
    """

    def __init__(self, zero: int = 0) -> None:
        self._zero = zero

    def encode(self, symbols: tf.Tensor, parameters: Any) -> Message:
        """Encodes int32 [size]."""
        return OrderedDict({STREAM: encode(symbols - self._zero)})

    def decode(self, message: Message, size: int) -> tf.Tensor:
        """Reads int32 [size]."""
        return tf.ensure_shape(decode(message[STREAM], size), [size]) + self._zero
