"""Where a client's work and its sum are one graph: what is packed to be unpacked at once stays as it is.

TFF's compression packs integers into words, without loss (`BitpackingEncodingStage` of TensorFlow Model
Optimization), and `accumulate` unpacks them. That takes about as long as the rest of the encoding and decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import tensorflow as tf

from fedcli.runtime.engine.compiled import Part, node_of, tensor_of

_Nodes: TypeAlias = Mapping[str, tf.compat.v1.NodeDef]

# Under these scopes the stage turns floats into integers by its first `Cast`, and integers into floats by its last.
_PACKING = "/bitpacking_encode/"
_UNPACKING = "/bitpacking_decode/"


def unpacked(work: Part, accumulate: Part) -> dict[str, str]:
    """Finds what a client's work packs last and its sum unpacks first.

    Args:
        work: The client's work.
        accumulate: Takes a sum, then what `work` gives.

    Returns:
        Names of the unpacked tensors in `accumulate`, and for each the name of what was packed in `work`. Both hold
        the same numbers, unless these are not finite; the range by which both are multiplied is not finite then.
    """
    worked, added = _nodes(work), _nodes(accumulate)
    readers = {node_of(name): node.name for node in added.values() for name in node.input}
    found = {}
    received = accumulate.inputs[len(accumulate.inputs) - len(work.outputs) :]
    for given, sent in zip(received, work.outputs, strict=True):
        packing = _cast(worked, _producer(worked, node_of(sent)), _PACKING)
        unpacking = _cast(added, readers.get(node_of(given), ""), _UNPACKING)
        if packing and unpacking and packing.attr["SrcT"].type == unpacking.attr["DstT"].type:
            found[f"{unpacking.name}:0"] = tensor_of(packing.input[0])
    return found


def _nodes(part: Part) -> _Nodes:
    return {node.name: node for node in part.graph.node}


def _producer(nodes: _Nodes, name: str) -> str:
    while nodes[name].op == "Identity":
        name = node_of(nodes[name].input[0])
    return name


def _cast(nodes: _Nodes, name: str, scope: str) -> tf.compat.v1.NodeDef | None:
    """Returns the cast of the stage that a node belongs to; None if it belongs to none."""
    before, found, _ = name.partition(scope)
    node = nodes.get(f"{before}{scope}Cast") if found else None
    return node if node is not None and node.op == "Cast" else None
