"""A model on its way from the server to clients, as coded messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.compression.codec import Codec, derived, stream_bits
from fedcli.compression.layout import Layout
from fedcli.compression.run_seed import initial_seed, next_round, round_seed
from fedcli.runtime.engine.communication import CHANGE, CODING, NOT_SENT
from fedcli.runtime.engine.traffic import bits

_PURPOSE = 1


class CodedModel(ABC):
    """How a server encodes a model, and clients read it; pure TensorFlow.

    Each large tensor is encoded by a codec of its own, which learns from what the server itself encoded before.

    Args:
        weights_type: Type of the model's weights.
        codec: Makes the codec of a vector from the shapes of the tensors that it is made of.
        min_elements: Tensors of fewer numbers are sent whole.
    """

    def __init__(
        self, weights_type: tff.Type, codec: Callable[[Sequence[tuple[int, ...]]], Codec], min_elements: int
    ) -> None:
        self.weights_type = weights_type
        self._layout = Layout(weights_type, min_elements, per_tensor=True, group="distributor")
        self._codecs = [codec(shapes) for shapes in self._layout.vectors]

    @abstractmethod
    def initial_state(self) -> OrderedDict[str, Any]:
        """Makes what the server keeps from round to round."""

    @abstractmethod
    def encode(self, state: Any, model: Any) -> OrderedDict[str, Any]:
        """Encodes the server's model; the same state and model always give the same message."""

    @abstractmethod
    def read(self, sent: Any) -> tuple[Any, list[Any]]:
        """Reads a message.

        Returns:
            The model that clients get, and what each codec observed.
        """

    def next_state(self, state: Any, received: Any, observed: Sequence[Any]) -> OrderedDict[str, Any]:
        """Makes the next state from what `read` read of this round's message: lets the codecs learn."""
        one_sender = tf.constant(1.0)
        codecs = [
            codec.update(one, seen, one_sender)
            for codec, one, seen in zip(self._codecs, state["codecs"], observed, strict=True)
        ]
        return OrderedDict(random=next_round(state["random"]), codecs=codecs)

    def measure(self, state: Any, model: Any, sent: Any, received: Any, typed_bits: int) -> OrderedDict[str, tf.Tensor]:
        """Measures what one client gets.

        Args:
            state: The state of this round.
            model: The server's model.
            sent: What `encode` made of it.
            received: What `read` made of that.
            typed_bits: The bits of `sent` that are known from its type.

        Returns:
            `bits_per_element`: all bits a number of the model; `stream_bits`: bits of the streams, which no type
            tells; `distortion`: squared error of the model that clients get, relative to the model's squared norm.
        """
        streams = self._stream_bits(sent)
        return OrderedDict(
            bits_per_element=(tf.cast(streams, tf.float32) + float(typed_bits)) / self._layout.num_elements,
            distortion=self._distortion(model, received),
            stream_bits=streams,
        )

    def _messages(self, state: Any, vectors: Sequence[tf.Tensor]) -> list[Any]:
        seed = round_seed(state["random"], _PURPOSE)
        return [
            codec.encode(x, codec.parameters(one), derived(seed, index))
            for index, (codec, x, one) in enumerate(zip(self._codecs, vectors, state["codecs"], strict=True))
        ]

    def _read_messages(self, messages: Sequence[Any]) -> tuple[list[tf.Tensor], list[Any]]:
        read = [codec.decode(message) for codec, message in zip(self._codecs, messages, strict=True)]
        return [vector for vector, _ in read], [observed for _, observed in read]

    def _first_codecs(self) -> list[Any]:
        return [codec.initial_state() for codec in self._codecs]

    @abstractmethod
    def _stream_bits(self, sent: Any) -> tf.Tensor: ...

    def _distortion(self, model: Any, received: Any) -> tf.Tensor:
        pairs = [
            (tf.cast(tf.reshape(a, [-1]), tf.float32), tf.cast(tf.reshape(b, [-1]), tf.float32))
            for one, other in zip(self._layout.split(model), self._layout.split(received), strict=True)
            for a, b in zip(one, other, strict=True)
        ]
        error = tf.add_n([tf.reduce_sum(tf.square(a - b)) for a, b in pairs])
        return tf.math.divide_no_nan(error, tf.add_n([tf.reduce_sum(tf.square(a)) for a, _ in pairs]))


class WholeModel(CodedModel):
    """The model itself is encoded, so that a client needs nothing from before."""

    def initial_state(self) -> OrderedDict[str, Any]:
        """The codecs' states and where random numbers come from."""
        return OrderedDict(random=initial_seed(), codecs=self._first_codecs())

    def encode(self, state: Any, model: Any) -> OrderedDict[str, Any]:
        """Encodes the model."""
        vectors, whole = self._layout.split(model)
        return OrderedDict(messages=self._messages(state, vectors), whole=whole)

    def read(self, sent: Any) -> tuple[Any, list[Any]]:
        """Reads it."""
        vectors, observed = self._read_messages(sent["messages"])
        return self._layout.join(vectors, sent["whole"]), observed

    def _stream_bits(self, sent: Any) -> tf.Tensor:
        return _streams(sent["messages"])


class ModelChange(CodedModel):
    """The change since the last round is encoded, for clients that keep the model.

    What is encoded is how the server's model w differs from the model u that clients know, not from the server's last
    model: `u_t = u_(t-1) + decode(encode(w_t - u_(t-1)))`. What the coding lost in one round is so part of the next
    round's change, and errors do not add up (Gruntkowska et al. 2022, "EF21-P and Friends: Improved Theoretical
    Communication Complexity for Distributed Optimization with Bidirectional Compression",
    https://arxiv.org/abs/2209.15218).

    That needs a coding whose error is smaller than what it encodes: few bits and random rounding can make it larger,
    and then it would grow from round to round. So what was decoded is scaled to the smallest error (32 bits a tensor),
    which is never larger.

    In the first round, in which all clients are new, u is the model itself and the change is zero: it stands for a
    broadcast of the whole model, and is accounted so. u_(t-1) travels with the message in the simulation only.
    """

    def initial_state(self) -> OrderedDict[str, Any]:
        """The state of the codecs, and the model that clients know."""
        return OrderedDict(random=initial_seed(), codecs=self._first_codecs(), known=self._layout.zeros())

    def encode(self, state: Any, model: Any) -> OrderedDict[str, Any]:
        """Encodes the change."""
        (new, new_whole), (old, old_whole) = self._layout.split(model), self._layout.split(state["known"])
        first = _is_first(state)
        old, old_whole = (
            [tf.where(first, a, b) for a, b in zip(*x, strict=True)] for x in ((new, old), (new_whole, old_whole))
        )
        change = [a - b for a, b in zip(new, old, strict=True)]
        messages = self._messages(state, change)
        decoded, _ = self._read_messages(messages)
        return OrderedDict(
            {
                CHANGE: OrderedDict(
                    messages=messages,
                    scales=[_best_scale(x, y) for x, y in zip(change, decoded, strict=True)],
                    whole=[a - b for a, b in zip(new_whole, old_whole, strict=True)],
                ),
                NOT_SENT: self._layout.join(old, old_whole),
            }
        )

    def read(self, sent: Any) -> tuple[Any, list[Any]]:
        """Adds the change to the model that the client knows."""
        known, known_whole = self._layout.split(sent[NOT_SENT])
        change, observed = self._read_messages(sent[CHANGE]["messages"])
        model = self._layout.join(
            [a + scale * b for a, b, scale in zip(known, change, sent[CHANGE]["scales"], strict=True)],
            [a + b for a, b in zip(known_whole, sent[CHANGE]["whole"], strict=True)],
        )
        return model, observed

    def next_state(self, state: Any, received: Any, observed: Sequence[Any]) -> OrderedDict[str, Any]:
        """Takes what clients know now, and lets the codecs learn."""
        result = super().next_state(state, received, observed)
        # The first round's change, all zero, would teach them wrongly.
        first = _is_first(state)
        result["codecs"] = tf.nest.map_structure(
            lambda old, new: tf.where(first, old, new), list(state["codecs"]), result["codecs"]
        )
        result["known"] = received
        return result

    def measure(self, state: Any, model: Any, sent: Any, received: Any, typed_bits: int) -> OrderedDict[str, tf.Tensor]:
        """Measures this round's change; see the base class. In the first round, 32 bits a number, the whole model."""
        measured = super().measure(state, model, sent, received, typed_bits)
        whole = float(bits(self.weights_type)) / self._layout.num_elements
        measured["bits_per_element"] = tf.where(_is_first(state), whole, measured["bits_per_element"])
        return measured

    def _stream_bits(self, sent: Any) -> tf.Tensor:
        return _streams(sent[CHANGE]["messages"])


def distribution(coded: CodedModel) -> tff.learning.templates.DistributionProcess:
    """Builds TFF's process, which broadcasts models as they are coded.

    Its measurements are those of `CodedModel.measure`, under `CODING`.
    """
    weights_type = coded.weights_type
    initial_state = tff.tensorflow.computation(coded.initial_state)
    state_type = initial_state.type_signature.result
    encode = tff.tensorflow.computation(coded.encode, (state_type, weights_type))
    sent_type = encode.type_signature.result
    read = tff.tensorflow.computation(lambda sent: coded.read(sent)[0], sent_type)
    typed_bits = bits(sent_type)

    @tff.tensorflow.computation(state_type, weights_type, sent_type)
    def conclude(state: Any, model: Any, sent: Any) -> Any:
        received, observed = coded.read(sent)
        measured = coded.measure(state, model, sent, received, typed_bits)
        return coded.next_state(state, received, observed), OrderedDict({CODING: measured})

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(tff.FederatedType(state_type, tff.SERVER), tff.FederatedType(weights_type, tff.SERVER))
    def next_round(state: Any, model: Any) -> Any:
        sent = tff.federated_map(encode, (state, model))
        received = tff.federated_map(read, tff.federated_broadcast(sent))
        new_state, measured = tff.federated_map(conclude, (state, model, sent))
        return tff.templates.MeasuredProcessOutput(state=new_state, result=received, measurements=measured)

    return tff.learning.templates.DistributionProcess(initialize, next_round)


def _streams(messages: Sequence[Any]) -> tf.Tensor:
    return sum((stream_bits(message) for message in messages), tf.constant(0, tf.int64))


def _is_first(state: Any) -> tf.Tensor:
    return tf.equal(state["random"]["round"], 0)  # `==` of a tensor is False in TFF's graphs


def _best_scale(x: tf.Tensor, decoded: tf.Tensor) -> tf.Tensor:
    """Returns the s for which s * decoded is nearest to x; its error is at most the norm of x."""
    return tf.math.divide_no_nan(tf.reduce_sum(x * decoded), tf.reduce_sum(tf.square(decoded)))
