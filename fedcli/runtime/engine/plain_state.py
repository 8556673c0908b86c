"""Leaves texts out of the server's state.

TFF's differentially private aggregators keep in their state, beside numbers, the names of the mechanism's classes: for
an accountant in the same process. Nothing that a round computes depends on them, a run's accountant knows the mechanism
from the config, and checkpoints hold numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from fedcli.runtime.engine.compiled import Leaf, Part


def is_text(dtype: np.dtype[np.generic]) -> bool:
    """Tells whether a tensor of a type holds texts, as TFF or TensorFlow give them."""
    return dtype.kind in "OSU"


def without_texts(parts: Mapping[str, Part], state: Sequence[Leaf]) -> dict[str, Part]:
    """Makes a round's state one of numbers.

    Args:
        parts: `initialize`, which gives the state; `prepare` and `update`, which take it first; `update`, which gives
            the next one first; and others.
        state: The state's tensors.

    Returns:
        The same parts; those three take and give only the numbers of the state, where there are texts in it.
    """
    texts = {index for index, leaf in enumerate(state) if is_text(leaf.dtype)}
    if not texts:
        return dict(parts)
    changed = {}
    for name in ("initialize", "prepare", "update"):
        part = parts[name]
        gives = name != "prepare"
        changed[name] = Part(
            part.graph if name == "initialize" else _with_constants(part, texts),
            part.inputs if name == "initialize" else _others(part.inputs, texts),
            _others(part.outputs, texts) if gives else part.outputs,
            part.initialize_op,
        )
    return {**parts, **changed}


def _others(names: Sequence[str], texts: set[int]) -> tuple[str, ...]:
    return tuple(name for index, name in enumerate(names) if index not in texts)


def _with_constants(part: Part, texts: set[int]) -> tf.compat.v1.GraphDef:
    """Copies a part's graph with an empty text in place of each text that is fed."""
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(part.graph)
    nodes = {node.name: node for node in graph.node}
    for index in texts:
        node = nodes[part.inputs[index].split(":")[0]]
        node.op = "Const"
        del node.attr["shape"]
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(""))
    return graph
