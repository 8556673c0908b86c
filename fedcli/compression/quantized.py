"""A codec in two steps: numbers become symbols (lossy), symbols become bits (lossless)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Codec, Message, Observed


class Quantizer(ABC):
    """Turns numbers into symbols; the state's methods are those of `Codec`.

    Args:
        size: Numbers in the vector.

    Attributes:
        alphabet: Symbols are 0 ... alphabet - 1; None for signed integers of any size, most of them zero.
        zero: The symbol of the number zero, where there is one.
    """

    alphabet: int | None = None
    zero: int = 0

    def __init__(self, size: int) -> None:
        self.size = size

    @abstractmethod
    def quantize(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Message]:
        """Turns float32 [size] into symbols, int32 [size], and what else the decoder must know."""

    @abstractmethod
    def dequantize(self, symbols: tf.Tensor, header: Message) -> tf.Tensor:
        """Turns symbols, int32 [size], into numbers, float32 [size]."""

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """Makes what the server keeps from round to round."""
        return OrderedDict()

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """Chooses what of the state the clients get."""
        return OrderedDict()

    def observe(self, symbols: tf.Tensor, header: Message) -> Observed:
        """Takes from a client's symbols what `update` gets, summed over clients."""
        return OrderedDict()

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """Makes the next state."""
        return OrderedDict()


class SymbolCoder(ABC):
    """Turns symbols into bits and back, exactly; the state's methods are those of `Codec`."""

    @abstractmethod
    def encode(self, symbols: tf.Tensor, parameters: Any) -> Message:
        """Encodes int32 [size]."""

    @abstractmethod
    def decode(self, message: Message, size: int) -> tf.Tensor:
        """Reads int32 [size]."""

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """Makes what the server keeps from round to round."""
        return OrderedDict()

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """Chooses what of the state the clients get."""
        return OrderedDict()

    def observe(self, symbols: tf.Tensor, message: Message) -> Observed:
        """Takes from a client's symbols and their message what `update` gets, summed over clients."""
        return OrderedDict()

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """Makes the next state."""
        return OrderedDict()


class Quantized(Codec):
    """Numbers by a quantizer, its symbols by a coder.

    Args:
        quantizer: Makes symbols.
        coder: Codes them.
    """

    def __init__(self, quantizer: Quantizer, coder: SymbolCoder) -> None:
        super().__init__(quantizer.size)
        self._quantizer = quantizer
        self._coder = coder

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Quantizes, then codes."""
        symbols, header = self._quantizer.quantize(x, parameters["quantizer"], seed)
        return OrderedDict(header=header, symbols=self._coder.encode(symbols, parameters["coder"]))

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Reads the symbols, then their numbers."""
        symbols = self._coder.decode(message["symbols"], self.size)
        observed = OrderedDict(
            quantizer=self._quantizer.observe(symbols, message["header"]),
            coder=self._coder.observe(symbols, message["symbols"]),
        )
        return self._quantizer.dequantize(symbols, message["header"]), observed

    def initial_state(self) -> OrderedDict[str, Any]:
        """Joins the states of both."""
        return OrderedDict(quantizer=self._quantizer.initial_state(), coder=self._coder.initial_state())

    def parameters(self, state: Any) -> OrderedDict[str, Any]:
        """Joins the parameters of both."""
        return OrderedDict(
            quantizer=self._quantizer.parameters(state["quantizer"]), coder=self._coder.parameters(state["coder"])
        )

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, Any]:
        """Updates both."""
        return OrderedDict(
            quantizer=self._quantizer.update(state["quantizer"], observed["quantizer"], clients),
            coder=self._coder.update(state["coder"], observed["coder"], clients),
        )
