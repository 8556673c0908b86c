"""A federated round as plain data: TensorFlow graphs and the names of their inputs and outputs.

TFF's MapReduce form splits a round into `prepare` (server), `work` (each client), `zero`, `accumulate`,
`merge` and `report` (summing the clients' updates) and `update` (server); see
https://www.tensorflow.org/federated/api_docs/python/tff/backends/mapreduce/MapReduceForm.
What all clients compute alike from what they receive is split off `work` as `receive`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from fedcli.runtime.engine.communication import Communication

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class Part:
    """One TensorFlow computation.

    Attributes:
        graph: The graph.
        inputs: Names of the tensors to feed, in TFF's order; for a client's dataset, its variant tensor.
        outputs: Names of the tensors to fetch, in TFF's order.
        initialize_op: Name of the operation to run before each call, empty if there is none.
    """

    graph: tf.compat.v1.GraphDef
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    initialize_op: str


@dataclass(frozen=True)
class Leaf:
    """One tensor of a structure.

    Attributes:
        path: Where it is, for example `global_model_weights/trainable/0`.
        dtype: Its type.
        shape: Its shape, None for a dimension that varies.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Source:
    """What a round was compiled from.

    Attributes:
        process: The process.
        form: Its MapReduce form.
    """

    process: tff.learning.templates.LearningProcess
    form: tff.backends.mapreduce.MapReduceForm


@dataclass(frozen=True)
class CompiledRound:
    """A `tff.learning` process, compiled.

    Attributes:
        parts: `initialize` and the parts of the MapReduce form, by name. With `receive`, where a round has it, `work`
            takes what that gives in place of the broadcast.
        state: The server's state, tensor by tensor.
        metrics: The metrics that a round reports, tensor by tensor.
        batch: A batch of a client's examples, (x, y).
        communication: What a round sends and receives.
        kept: What a client keeps from one round in which it takes part to the next, zero before the first.
        changes_of_kept: Where in the results of `work` the changes of that are, tensor by tensor.
        reports: Where in the results of `work` the number is that tells whether the client reports; None where every
            client does, whatever it has trained.
        tells_attackers: Whether a client gets, behind its batches, a sequence of one truth value: whether it attacks.
        source: What this was compiled from; None if it was read from the cache.
    """

    parts: Mapping[str, Part]
    state: tuple[Leaf, ...]
    metrics: tuple[Leaf, ...]
    batch: tuple[Leaf, Leaf]
    communication: Communication
    kept: tuple[Leaf, ...] = ()
    changes_of_kept: tuple[int, ...] = ()
    reports: int | None = None
    tells_attackers: bool = False
    source: Source | None = field(default=None, repr=False, compare=False)

    def model_weights(self) -> tuple[list[int], list[int]]:
        """Returns where in the state the model's trainable and other weights are."""

        def under(prefix: str) -> list[int]:
            return [i for i, leaf in enumerate(self.state) if leaf.path.startswith(prefix)]

        return under("global_model_weights/trainable/"), under("global_model_weights/non_trainable/")


def node_of(tensor: str) -> str:
    """Returns the name of the node that a node's input comes from."""
    return tensor.lstrip("^").split(":")[0]


def tensor_of(name: str) -> str:
    """Returns the full name of a tensor that is a node's input."""
    return name if ":" in name else f"{name}:0"
