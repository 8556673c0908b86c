"""Parses serialized `tf.train.Example` protocol buffers, many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
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
