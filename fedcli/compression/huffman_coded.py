"""Symbols in canonical Huffman codes of the previous round's frequencies.

Huffman 1952, "A Method for the Construction of Minimum-Redundancy Codes", https://doi.org/10.1109/JRPROC.1952.273898.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf

from fedcli.compression.codec import Message, Observed
from fedcli.compression.coders.huffman import code_lengths, decode, encode
from fedcli.compression.quantized import SymbolCoder
from fedcli.runtime.engine.communication import STREAM


class HuffmanCoded(SymbolCoder):
    """Learns a code for all clients from what all of them sent in the round before.

    The server sends the code's lengths (8 bits a symbol of the alphabet), and clients return them before their stream,
    so that a message can be read without knowing when it was written. In the first round, symbols are taken to be
    equally frequent.

    Args:
        alphabet: Symbols are 0 ... alphabet - 1.
    """

    def __init__(self, alphabet: int) -> None:
        self._alphabet = alphabet

    def encode(self, symbols: tf.Tensor, parameters: Any) -> Message:
        """Encodes int32 [size]."""
        lengths = parameters["code_lengths"]
        return OrderedDict([("code_lengths", lengths), (STREAM, encode(symbols, tf.cast(lengths, tf.int32)))])

    def decode(self, message: Message, size: int) -> tf.Tensor:
        """Reads int32 [size]."""
        lengths = tf.cast(message["code_lengths"], tf.int32)
        return tf.ensure_shape(decode(message[STREAM], lengths, size), [size])

    def initial_state(self) -> OrderedDict[str, tf.Tensor]:
        """How often each symbol was sent, float32 [alphabet]; at first nothing is known."""
        return OrderedDict(histogram=tf.zeros([self._alphabet]))

    def parameters(self, state: Any) -> OrderedDict[str, tf.Tensor]:
        """The lengths of the codes, uint8 [alphabet]."""
        # One more of each: a symbol that nobody sent needs a code all the same.
        lengths = code_lengths(state["histogram"] + 1.0)
        return OrderedDict(code_lengths=tf.ensure_shape(tf.cast(lengths, tf.uint8), [self._alphabet]))

    def observe(self, symbols: tf.Tensor, message: Message) -> Observed:
        """Counts the symbols."""
        counts = tf.math.bincount(symbols, minlength=self._alphabet, maxlength=self._alphabet, dtype=tf.float32)
        return OrderedDict(histogram=tf.ensure_shape(counts, [self._alphabet]))

    def update(self, state: Any, observed: Any, clients: tf.Tensor) -> OrderedDict[str, tf.Tensor]:
        """Keeps this round's counts; without clients, those before."""
        return OrderedDict(histogram=tf.where(clients > 0, observed["histogram"], state["histogram"]))
