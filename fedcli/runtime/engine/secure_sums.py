"""Simulates secure aggregation: what clients send into a secure sum is added, as integers, with the rest of a round.

TFF's MapReduce form leaves three kinds of sums of integers to the system that executes it: of a known bit width, up to
a known maximum, and modulo a number; see
https://www.tensorflow.org/federated/api_docs/python/tff/backends/mapreduce/MapReduceForm. In a deployment a protocol
such as SecAgg (Bonawitz et al. 2017, https://dl.acm.org/doi/10.1145/3133956.3133982) does them, so that the server
learns the sum and nothing else of a client. Here there is no cryptography: numbers are added, and what a client sends
is counted as the bits that its numbers need. Integers are added exactly, in whatever order.

They are made part of `zero`, `accumulate`, `merge` and `report`, so that every runtime sums them with the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from fedcli.runtime.engine.compiled import Leaf, Part


@dataclass(frozen=True)
class SecureSum:
    """One tensor that is summed over clients.

    Attributes:
        leaf: The tensor that a client gives: non-negative integers.
        largest: The largest number that may be in it.
        modulus: What the sum is taken modulo of; None for the sum itself.
    """

    leaf: Leaf
    largest: int
    modulus: int | None = None

    @property
    def bits(self) -> int:
        """Bits that a client's numbers take."""
        return self.largest.bit_length() * math.prod(size or 0 for size in self.leaf.shape)


def with_secure_sums(parts: Mapping[str, Part], sums: Sequence[SecureSum]) -> dict[str, Part]:
    """Makes secure sums part of a round's sums.

    Args:
        parts: `zero`, `accumulate`, `merge`, `report` and others, of a form whose `work` gives the numbers of `sums`
            after the update, and whose `update` takes their sums after the report.
        sums: What is summed securely.

    Returns:
        The same parts, the four changed.
    """
    if not sums:
        return dict(parts)

    def zero() -> list[tf.Tensor]:
        return [tf.zeros(_shape(one), one.leaf.dtype) for one in sums]

    def accumulate() -> list[tf.Tensor]:
        totals, given = _placeholders(sums, "total"), _placeholders(sums, "given")
        return [_added(one, *pair) for one, *pair in zip(sums, totals, map(_checked, sums, given), strict=True)]

    def merge() -> list[tf.Tensor]:
        first, then = _placeholders(sums, "first"), _placeholders(sums, "then")
        return [_added(one, *pair) for one, *pair in zip(sums, first, then, strict=True)]

    def report() -> list[tf.Tensor]:
        return [tf.identity(total) for total in _placeholders(sums, "total")]

    added = {
        "zero": _extended(parts["zero"], zero, ()),
        "accumulate": _extended(parts["accumulate"], accumulate, _names(sums, "total", "given")),
        "merge": _extended(parts["merge"], merge, _names(sums, "first", "then")),
        "report": _extended(parts["report"], report, _names(sums, "total")),
    }
    return {**parts, **added}


_SCOPE = "fedcli_secure"


def _extended(part: Part, build: Callable[[], list[tf.Tensor]], names: Sequence[Sequence[str]]) -> Part:
    """Adds inputs and outputs to a part.

    Args:
        part: The part, with as many inputs for each of the `names` as for the others of them.
        build: Builds the outputs that follow the part's own.
        names: Lists of the inputs that follow each share of the part's own.
    """
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(part.graph, name="")
        with tf.name_scope(_SCOPE):
            outputs = [tensor.name for tensor in build()]
    share = len(part.inputs) // max(1, len(names))
    inputs = [
        name for index, more in enumerate(names) for name in (*part.inputs[index * share : (index + 1) * share], *more)
    ]
    return Part(graph.as_graph_def(), tuple(inputs), (*part.outputs, *outputs), part.initialize_op)


def _placeholders(sums: Sequence[SecureSum], name: str) -> list[tf.Tensor]:
    return [tf.compat.v1.placeholder(one.leaf.dtype, _shape(one), f"{name}_{index}") for index, one in enumerate(sums)]


def _names(sums: Sequence[SecureSum], *names: str) -> list[list[str]]:
    return [[f"{_SCOPE}/{name}_{index}:0" for index in range(len(sums))] for name in names]


def _added(one: SecureSum, first: tf.Tensor, then: tf.Tensor) -> tf.Tensor:
    # Both are below the modulus, which leaves room for their sum.
    return first + then if one.modulus is None else tf.math.floormod(first + then, one.modulus)


def _checked(one: SecureSum, given: tf.Tensor) -> tf.Tensor:
    """Ends the round where a client gives a number that the protocol has no room for; it would come out wrong."""
    if one.modulus is not None:
        return tf.math.floormod(given, one.modulus)
    if one.largest >= np.iinfo(one.leaf.dtype).max:
        return tf.identity(given)
    is_sound = tf.reduce_all((given >= 0) & (given <= tf.constant(one.largest, given.dtype)))
    told = f"numbers of a client are not from 0 to {one.largest}, as a secure sum needs them: {one.leaf.path}"
    with tf.control_dependencies([tf.debugging.Assert(is_sound, [told])]):
        return tf.identity(given)


def _shape(one: SecureSum) -> tuple[int, ...]:
    return tuple(size or 0 for size in one.leaf.shape)
