"""Takes what every client computes alike out of a client's work: what depends on the broadcast alone.

Clients of a round receive the same message and decode it to the same model. On their devices each does that; here once
a round is enough. The graph of `work` is cut in two: `receive`, the operations that neither the client's data nor a
random number reaches, and the rest, which is fed with what `receive` computes.

The graphs have no functions when they come here (TFF inlines them), and loops are in their lowered form; see
`fedcli.runtime.engine.frames`. A loop belongs to one side with all of its operations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from fedcli.runtime.engine.compiled import Part, node_of, tensor_of
from fedcli.runtime.engine.frames import Frames

GraphDef: TypeAlias = tf.compat.v1.GraphDef
NodeDef: TypeAlias = tf.compat.v1.NodeDef

#: Operations that cost nothing: to do one again is cheaper than to feed what it gives.
_FREE = {"Const", "ExpandDims", "Identity", "NoOp", "Placeholder", "Reshape", "Shape", "Squeeze", "StopGradient"}
#: Outside of loops these belong to a condition: what a branch that is not taken gives cannot be fetched.
_CONDITIONAL = {"Merge", "RefMerge", "RefSwitch", "Switch"}
#: What lives only within a session.
_NOT_FED = {tf.resource, tf.variant}


def split_work(work: Part, num_data: int = 1) -> dict[str, Part]:
    """Splits a client's work.

    Args:
        work: Takes the client's datasets, then the broadcast.
        num_data: How many datasets: the client's batches, and perhaps what it keeps between rounds.

    Returns:
        `receive`, which takes the broadcast, and `work`, which takes the client's datasets and what `receive` gives;
        the whole `work` alone where nothing can be done once for all.
    """
    data, broadcast = work.inputs[:num_data], work.inputs[num_data:]
    graph = _Graph(work.graph)
    start = {*map(node_of, data), *graph.stateful()}
    first = graph.before([work.initialize_op] if work.initialize_op else [])
    while True:
        own = graph.reached(start)
        again, cut = graph.cut(own | first, work.outputs)
        if all(name in broadcast for name in cut):
            return {"work": work}
        types = graph.tensors(cut)
        if not (kept := {node_of(name) for name, tensor in types.items() if tensor.dtype in _NOT_FED}):
            break
        start |= kept
    receive = graph.only(graph.before([*map(node_of, cut), *map(node_of, broadcast)]))
    rest = graph.only({*own, *first, *again, *(node_of(name) for name in cut if name in broadcast)})
    fed = {
        name: name if name in broadcast else _placeholder(rest, types[name], index) for index, name in enumerate(cut)
    }
    _reconnect(rest, fed)
    outputs = tuple(fed.get(name, name) for name in work.outputs)
    return {
        "receive": Part(receive, broadcast, tuple(cut), ""),
        "work": Part(rest, (*data, *fed.values()), outputs, work.initialize_op),
    }


class _Graph:
    """A graph whose nodes are looked up by name, and followed in both directions."""

    def __init__(self, graph: GraphDef) -> None:
        self._graph = graph
        self._nodes = {node.name: node for node in graph.node}
        self._frames = Frames(graph)
        self._users = defaultdict(list)
        self._members = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._users[node_of(name)].append(node.name)
        for name, frame in self._frames.of.items():
            self._members[frame].append(name)

    def stateful(self) -> Iterator[str]:
        """Names the nodes that may not be run once for all, whatever they are fed with."""
        for node in self._graph.node:
            operation = op_def_registry.get(node.op)
            conditional = node.op in _CONDITIONAL and node.name not in self._frames.of
            if conditional or operation is None or operation.is_stateful:
                yield node.name

    def before(self, names: Iterable[str]) -> set[str]:
        """Names the nodes that some nodes need, and these themselves."""
        return self._closure(names, lambda name: map(node_of, self._nodes[name].input))

    def reached(self, names: Iterable[str]) -> set[str]:
        """Names the nodes that some nodes have an effect on, whole loops at a time, and these themselves."""

        def following(name: str) -> Iterable[str]:
            frame = self._frames.of.get(name)
            return [*self._users[name], *(self._members[frame] if frame is not None else ())]

        return self._closure(names, following)

    def cut(self, own: set[str], outputs: Sequence[str]) -> tuple[set[str], list[str]]:
        """Finds where what is computed once meets a client's own work.

        Args:
            own: The nodes of the client's own work.
            outputs: Tensors that the client's work gives.

        Returns:
            Names of the nodes that are cheaper done again, and of the tensors to be fed, sorted.
        """
        again: set[str] = set()
        fed: set[str] = set()
        needed = [*outputs, *(name for node in own for name in self._nodes[node].input)]
        while needed:
            name = needed.pop()
            node = self._nodes[node_of(name)]
            if node.name in own or node.name in again or name.startswith("^"):
                continue
            if node.op == "Placeholder" or node.op not in _FREE:
                fed.add(tensor_of(name))
            else:
                again.add(node.name)
                needed += node.input
        return again, sorted(fed)

    def tensors(self, names: Iterable[str]) -> Mapping[str, tf.Tensor]:
        """Gives tensors, with their types and shapes, by name."""
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(self._graph, name="")
        return {name: graph.get_tensor_by_name(name) for name in names}

    def only(self, names: set[str]) -> GraphDef:
        """Copies the graph with some of its nodes only. To wait for another is left out: it changes nothing."""
        result = GraphDef(versions=self._graph.versions, library=self._graph.library)
        for node in self._graph.node:
            if node.name in names:
                copy = result.node.add()
                copy.CopyFrom(node)
                copy.input[:] = [name for name in node.input if not name.startswith("^") or node_of(name) in names]
        return result

    @staticmethod
    def _closure(names: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
        found = set(names)
        todo = list(found)
        while todo:
            new = set(following(todo.pop())) - found
            found |= new
            todo += new
        return found


def _placeholder(graph: GraphDef, tensor: tf.Tensor, index: int) -> str:
    node = graph.node.add(op="Placeholder", name=f"fedcli_received/{index}")
    node.attr["dtype"].type = tensor.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tensor.shape.as_proto())
    return f"{node.name}:0"


def _reconnect(graph: GraphDef, tensors: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [name if name.startswith("^") else tensors.get(tensor_of(name), name) for name in node.input]
