"""Quantization whose step follows the run, so that a round costs, or errs, as much as was asked for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Codec, Message, Observed, stream_bits
from fedcli.compression.quantized import SymbolCoder
from fedcli.compression.quantizers.step import quantize, root_mean_square

#: How far the step moves: its logarithm, in parts of the logarithm of measured over wanted. Bits fall with about the
#: power 1.5 of the step at middle rates and up to the power 6 where hardly anything is left; the error grows with
#: about the power 1 to 2. A quarter converges for all of them.
_GAIN = 0.25
#: At most a factor of e in a round.
_LARGEST_MOVE = 1.0
#: The step of the first round, in root mean squares of each client's numbers.
_FIRST_STEP = 3.0


class AdaptiveStep(Codec):
    """Multiples of a step that is the same for all clients and follows what the earlier rounds measured.

    Args:
        size: Numbers in the vector.
        coder: Codes the multiples; its message must be a stream.
        bits_per_element: The rate to reach, in bits a number; None for a wanted distortion.
        distortion: The squared error of a client's vector to reach, relative to its squared norm; None for a rate.
        rounding: See `quantizers.step.quantize`.
    """

    def __init__(
        self,
        size: int,
        coder: SymbolCoder,
        *,
        bits_per_element: float | None,
        distortion: float | None,
        rounding: str,
    ) -> None:
        super().__init__(size)
        self._coder = coder
        self._bits_per_element = bits_per_element
        self._distortion = distortion
        self._rounding = rounding

    def initial_state(self) -> OrderedDict[str, Any]:
        """The step is not known yet: zero."""
        return OrderedDict(step=tf.constant(0.0))

    def parameters(self, state: Any) -> OrderedDict[str, Any]:
        """The step (32 bits)."""
        return OrderedDict(step=state["step"])

    def encode(self, x: tf.Tensor, parameters: Any, seed: tf.Tensor) -> Message:
        """Quantizes and codes; the header has the step, its scale, the squared error and norm (128 bits)."""
        step = tf.where(parameters["step"] > 0, parameters["step"], _FIRST_STEP * root_mean_square(x))
        symbols, scale = quantize(x, step, self._rounding, seed)
        return OrderedDict(
            step=step,
            scale=scale,
            error=tf.reduce_sum(tf.square(x - tf.cast(symbols, tf.float32) * scale)),
            norm=tf.reduce_sum(tf.square(x)),
            symbols=self._coder.encode(symbols, OrderedDict()),
        )

    def decode(self, message: Message) -> tuple[tf.Tensor, Observed]:
        """Multiplies."""
        symbols = self._coder.decode(message["symbols"], self.size)
        observed = OrderedDict((name, message[name]) for name in ("step", "error", "norm"))
        observed["bits"] = tf.cast(stream_bits(message["symbols"]), tf.float32)
        return tf.cast(symbols, tf.float32) * message["scale"], observed

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, Any]:
        """Moves the step: larger where a round cost more than it should, smaller where it erred more."""
        clients = tf.maximum(clients, 1.0)
        if self._bits_per_element is not None:
            excess = _log(observed["bits"] / clients / self.size) - _log(self._bits_per_element)
        else:
            assert self._distortion is not None
            excess = _log(self._distortion) - _log(tf.math.divide_no_nan(observed["error"], observed["norm"]))
        move = tf.clip_by_value(_GAIN * excess, -_LARGEST_MOVE, _LARGEST_MOVE)
        # Clients whose numbers are all zero say nothing about the step.
        return OrderedDict(
            step=tf.where(observed["norm"] > 0, observed["step"] / clients * tf.exp(move), state["step"])
        )


def _log(x: Any) -> tf.Tensor:
    return tf.math.log(tf.maximum(x, 1e-12))
