"""Makes the random operations of a graph follow seeds that are fed at each call.

TFF's graphs draw random numbers by stateful operations whose generator lives in the session: what a client draws
would depend on which thread took it and on how often the session was used before. Here each of them becomes its
stateless form (Philox, Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"), its key fed. One inside
a training loop (dropout) also counts the iterations of the loop, so that it draws anew in each step.

Where TFF takes the time of day for a seed of its own (distributed differential privacy), a number that follows the key
takes the place of the time.

The graphs have no functions when they come here (TFF inlines them), and loops are in their lowered form; see
`fedcli.runtime.engine.frames`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedcli.errors import ConfigError
from fedcli.runtime.engine.frames import Frames

GraphDef: TypeAlias = tf.compat.v1.GraphDef
NodeDef: TypeAlias = tf.compat.v1.NodeDef

#: Name of the uint64 placeholder [number of random operations] that the keys are fed to.
KEYS = "fedcli_random/keys"

#: Stateful operation -> (stateless operation, name of its type attribute). Further inputs keep their order.
_STATELESS = {
    "RandomUniform": ("StatelessRandomUniformV2", "dtype"),
    "RandomUniformInt": ("StatelessRandomUniformIntV2", "Tout"),
    "RandomStandardNormal": ("StatelessRandomNormalV2", "dtype"),
    "TruncatedNormal": ("StatelessTruncatedNormalV2", "dtype"),
}
#: The time of day, in seconds: what TFF multiplies by 10^6 and takes for a seed.
_TIME = "Timestamp"
#: What stands for the time is below this: times 10^6, all of it is kept by a float64, 2^53 seeds.
_TIMES = 2.0**33
#: Stateful operations without a stateless form of the same inputs.
_REFUSED = {
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoisson",
    "RandomPoissonV2",
    "RandomShuffle",
    "StatefulRandomBinomial",
    "StatefulStandardNormalV2",
    "StatefulUniform",
    "StatefulUniformInt",
}
_PHILOX = 1


def keys(seed: Sequence[int], count: int) -> NDArray[np.uint64]:
    """Derives the keys of a graph's random operations from a seed.

    Args:
        seed: Any number of non-negative integers.
        count: Number of random operations in the graph.
    """
    return np.asarray(np.random.SeedSequence(list(seed)).generate_state(count, np.uint64), np.uint64)


def random_operations(graph: GraphDef) -> list[str]:
    """Names the stateful random operations of a graph, sorted, since the order of nodes is not stable.

    Raises:
        ConfigError: One of them cannot be made to follow a seed.
    """
    for function in graph.library.function:
        for node in function.node_def:
            if node.op in _STATELESS or node.op in _REFUSED or node.op == _TIME:
                raise _refusal(node, "inside a function")
    for node in graph.node:
        if node.op in _REFUSED:
            raise _refusal(node, "which has no form that follows a seed")
    return sorted(node.name for node in graph.node if node.op in _STATELESS or node.op == _TIME)


def seeded(graph: GraphDef) -> GraphDef:
    """Returns a copy of the graph whose random operations follow the keys fed to `KEYS`.

    The graph itself is returned where it has no random operations.

    Raises:
        ConfigError: An operation cannot be made to follow a seed.
    """
    names = random_operations(graph)
    if not names:
        return graph
    result = GraphDef()
    result.CopyFrom(graph)
    builder = _Builder(result)
    frames = Frames(graph)
    nodes = {node.name: node for node in result.node}
    builder.add("Placeholder", KEYS, dtype=tf.uint64, shape=tf.TensorShape([len(names)]))
    builder.constant("alg", np.int32(_PHILOX))
    builder.constant("no_offset", np.zeros(2, np.uint64))
    for index, name in enumerate(names):
        frame = frames.of.get(name)
        if frame is not None and frame in frames.parents:
            raise _refusal(nodes[name], "inside a loop within a loop")
        key = builder.key(index)
        counter, alg = "no_offset", "alg"
        if frame is not None:
            enter = frames.enters[frame]
            key = builder.enter(key, enter, tf.uint64, f"key_{index}")
            alg = builder.enter(alg, enter, tf.int32, "alg")
            counter = builder.iteration_counter(enter, frames.conditions[frame])
        if nodes[name].op == _TIME:
            if frame is not None:
                raise _refusal(nodes[name], "inside a loop")
            _make_time(nodes[name], builder, index, key)
        else:
            _make_stateless(nodes[name], *(builder.full_name(x) for x in (key, counter, alg)))
    return result


def _make_time(node: NodeDef, builder: _Builder, index: int, key: str) -> None:
    scalar = builder.constant("scalar", np.zeros(0, np.int32))
    below_one = builder.add(
        "StatelessRandomUniformV2",
        f"time_{index}",
        [scalar, key, "no_offset", "alg"],
        dtype=tf.float64,
        Tshape=tf.int32,
    )
    controls = [name for name in node.input if name.startswith("^")]
    node.op = "Mul"
    node.ClearField("input")
    node.input.extend([below_one, builder.constant("times", np.float64(_TIMES)), *controls])
    node.attr["T"].type = tf.float64.as_datatype_enum


def _make_stateless(node: NodeDef, key: str, counter: str, alg: str) -> None:
    operation, dtype_attr = _STATELESS[node.op]
    shape, *rest = [name for name in node.input if not name.startswith("^")]
    controls = [name for name in node.input if name.startswith("^")]
    dtype, shape_type = node.attr[dtype_attr].type, node.attr["T"].type
    node.op = operation
    node.ClearField("input")
    node.input.extend([shape, key, counter, alg, *rest, *controls])
    for attr in list(node.attr):
        if not attr.startswith("_"):
            del node.attr[attr]
    node.attr["dtype"].type = dtype
    node.attr["Tshape"].type = shape_type


class _Builder:
    """Adds nodes under the name scope of `KEYS`, each once."""

    def __init__(self, graph: GraphDef) -> None:
        self._graph = graph
        self._names: set[str] = set()

    @staticmethod
    def full_name(name: str) -> str:
        """Returns the name in the graph of a node (or output) that this builder added."""
        scope = KEYS.split("/")[0]
        return name if name.startswith(scope) else f"{scope}/{name}"

    def add(self, operation: str, name: str, inputs: Sequence[str] = (), **attrs: object) -> str:
        name = self.full_name(name)
        if name not in self._names:
            self._names.add(name)
            node = self._graph.node.add(op=operation, name=name)
            node.input.extend(self.full_name(x) if not x.startswith("=") else x[1:] for x in inputs)
            for key, value in attrs.items():
                _set_attr(node.attr[key], value)
        return name

    def constant(self, name: str, value: np.generic | NDArray[np.generic]) -> str:
        return self.add("Const", name, dtype=tf.as_dtype(value.dtype), value=tf.make_tensor_proto(value))

    def key(self, index: int) -> str:
        """Adds the slice [index:index+1] of the fed keys."""
        begin = self.constant(f"begin_{index}", np.array([index], np.int32))
        size = self.constant("one_element", np.array([1], np.int32))
        return self.add("Slice", f"key_{index}", [KEYS, begin, size], T=tf.uint64, Index=tf.int32)

    def enter(self, name: str, like: NodeDef, dtype: tf.DType, key: str, constant: bool = True) -> str:
        """Brings a value from outside into the loop of the Enter node `like`."""
        frame = like.attr["frame_name"].s
        return self.add(
            "Enter",
            f"{_scope(frame)}/{key}",
            [name],
            T=dtype,
            frame_name=frame,
            is_constant=constant,
            parallel_iterations=like.attr["parallel_iterations"].i,
        )

    def iteration_counter(self, like: NodeDef, condition: str) -> str:
        """Adds a Philox counter to a loop: uint64 [0, iteration].

        The lower word counts the numbers drawn in one step, so steps never overlap.
        """
        scope = _scope(like.attr["frame_name"].s)
        zero = self.enter(self.constant("zero", np.uint64(0)), like, tf.uint64, "zero")
        one = self.enter(self.constant("one", np.uint64(1)), like, tf.uint64, "one")
        start = self.enter("zero", like, tf.uint64, "start", constant=False)
        merge = self.add("Merge", f"{scope}/merge", [start, f"{scope}/next"], T=tf.uint64, N=2)
        switch = self.add("Switch", f"{scope}/switch", [merge, f"={condition}"], T=tf.uint64)
        following = self.add("AddV2", f"{scope}/add", [f"{switch}:1", one], T=tf.uint64)
        self.add("NextIteration", f"{scope}/next", [following], T=tf.uint64)
        return self.add("Pack", f"{scope}/counter", [zero, f"{switch}:1"], T=tf.uint64, N=2, axis=0)


def _scope(frame: bytes) -> str:
    return "loop_" + "".join(c if c.isalnum() else "_" for c in frame.decode())


def _set_attr(attr: tf.compat.v1.AttrValue, value: object) -> None:
    if isinstance(value, tf.DType):
        attr.type = value.as_datatype_enum
    elif isinstance(value, tf.TensorShape):
        attr.shape.CopyFrom(value.as_proto())
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    elif isinstance(value, bytes):
        attr.s = value
    else:
        attr.tensor.CopyFrom(value)


def _refusal(node: NodeDef, reason: str) -> ConfigError:
    return ConfigError(
        f"the computation draws random numbers by {node.op} ({node.name}), {reason}",
        "use runtime=tff, whose results then differ from run to run",
    )
