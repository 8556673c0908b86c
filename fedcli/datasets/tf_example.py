"""Serialized `tf.train.Example` protocol buffers: parses many at once, writes one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What to read from each example: name, shape and type of a feature, for example `("label", (), "int64")`.
Feature = tuple[str, tuple[int, ...], str]

_lock = threading.Lock()


def parse_examples(serialized: Sequence[bytes], *features: Feature) -> list[NDArray[Any]]:
    """Parses n examples.

    May be called from several threads at once, and whatever graph the caller is building.

    Args:
        serialized: The protocol buffers.
        features: What to read from each.

    Returns:
        An array [n, *shape of the feature] for each feature, in their order.

    Raises:
        ValueError: A buffer is no such example, or misses a feature.
    """
    import tensorflow as tf

    with _lock:
        parser = _parser(features)
    try:
        return parser(np.array(serialized, dtype=object))
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(error.message) from error


def serialize_example(features: Mapping[str, NDArray[np.float32] | bytes | int]) -> bytes:
    """Writes one `tf.train.Example`, without TensorFlow, whose import takes seconds.

    The message: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto; its
    encoding: https://protobuf.dev/programming-guides/encoding/.

    Args:
        features: By name: an array of float32 (a float list, flattened), bytes (a bytes list of one) or a whole
            number, not negative (an int64 list of one).
    """
    entries = [_field(1, _field(1, name.encode()) + _field(2, _feature(features[name]))) for name in sorted(features)]
    return _field(1, b"".join(entries))


def _feature(value: NDArray[np.float32] | bytes | int) -> bytes:
    if isinstance(value, bytes):
        return _field(1, _field(1, value))
    if isinstance(value, np.ndarray):
        return _field(2, _field(1, value.astype("<f4").tobytes()))
    return _field(3, _field(1, _varint(value)))


def _field(number: int, content: bytes) -> bytes:
    """Writes a field of wire type 2: a number of bytes, and so many bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Writes a whole number, not negative, seven bits a byte, the lowest first."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


@cache
def _parser(features: tuple[Feature, ...]) -> Callable[[NDArray[np.object_]], list[NDArray[Any]]]:
    """Builds the function that parses; a session of its own does not depend on the caller's default graph.

    Eager execution does: `tf.init_scope` leaves a function that is being traced, but not a `tf.Graph`.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        serialized = tf.compat.v1.placeholder(tf.string, [None])
        parsed = tf.io.parse_example(
            serialized, {name: tf.io.FixedLenFeature(shape, dtype) for name, shape, dtype in features}
        )
        # Parsing runs on the CPU; without this the session would take the memory of a GPU.
        session = tf.compat.v1.Session(graph=graph, config=tf.compat.v1.ConfigProto(device_count={"GPU": 0}))
        return session.make_callable([parsed[name] for name, _, _ in features], feed_list=[serialized])
