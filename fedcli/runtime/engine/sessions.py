"""TensorFlow sessions that execute the parts of a compiled round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedcli.runtime.base import ClientWork
from fedcli.runtime.engine import randomness
from fedcli.runtime.engine.compiled import CompiledRound, Part

Arrays = Sequence[NDArray[np.generic]]


def session_config() -> tf.compat.v1.ConfigProto:
    """One thread for each kernel, so that results do not depend on the machine's number of cores."""
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1, use_per_session_threads=True
    )
    config.gpu_options.allow_growth = True
    return config


class _Call:
    """One part in a graph and session, ready to be called."""

    def __init__(
        self,
        session: tf.compat.v1.Session,
        imported: Sequence[tf.Tensor],
        feeds: Sequence[tf.Tensor],
        initialize: tf.Operation | None,
        keys: tf.Tensor | None,
    ) -> None:
        self._initialize: Callable[[], object] = (
            session.make_callable(initialize) if initialize is not None else lambda: None
        )
        self._keys = 0 if keys is None else int(keys.shape[0])
        feeds = [*feeds, keys] if keys is not None else list(feeds)
        self._run = session.make_callable(list(imported), feed_list=list(feeds))

    def __call__(self, values: Sequence[object], seed: Sequence[int]) -> Arrays:
        self._initialize()
        if self._keys:
            values = [*values, randomness.keys(seed, self._keys)]
        return self._run(*values)


class ServerSession:
    """The parts that the server executes, in one graph and session."""

    def __init__(self, compiled: CompiledRound) -> None:
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=session_config())
        self._calls: dict[str, _Call] = {}
        with graph.as_default():
            for name, part in compiled.parts.items():
                if name != "work":
                    feeds = _import(graph, part, name, {}, part.inputs)
                    self._calls[name] = _call(self._session, graph, part, name, feeds)

    def call(self, part: str, values: Arrays, seed: Sequence[int]) -> Arrays:
        """Executes a part.

        Args:
            part: Its name.
            values: Its inputs, in TFF's order.
            seed: What its random operations derive from.
        """
        return self._calls[part](values, (*seed, *part.encode()))


class ClientSession:
    """A client's work, with the batching of its examples in the same graph."""

    def __init__(self, compiled: CompiledRound) -> None:
        work = compiled.parts["work"]
        x, y = compiled.batch
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=session_config())
        with graph.as_default():
            examples_x = tf.compat.v1.placeholder(x.dtype, x.shape)
            examples_y = tf.compat.v1.placeholder(y.dtype, y.shape)
            batch_size = tf.compat.v1.placeholder(tf.int64, [])
            batches = batched(examples_x, examples_y, batch_size)
            dataset, *broadcast = work.inputs
            feeds = _import(graph, work, "work", {dataset: batches._variant_tensor}, broadcast)
            feeds = [examples_x, examples_y, batch_size, *feeds]
            self._work = _call(self._session, graph, work, "work", feeds)

    def train(self, client: ClientWork, broadcast: Arrays) -> Arrays:
        """Returns what the client sends to the server."""
        examples = client.examples()
        return self._work([examples.x, examples.y, client.batch_size, *broadcast], client.seed)


def batched(x: tf.Tensor, y: tf.Tensor, batch_size: tf.Tensor | int) -> tf.data.Dataset:
    """Batches examples in the order in which they are.

    Args:
        x: Inputs [n, ...].
        y: Targets [n, ...].
        batch_size: Examples a batch; the last one may be smaller.

    Returns:
        A dataset of (x, y) batches.
    """
    # Without a function: to make an iterator of a dataset with one costs 5 ms a client, a tenth of its training.
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)


def _import(
    graph: tf.Graph, part: Part, name: str, input_map: dict[str, tf.Tensor], inputs: Sequence[str]
) -> list[tf.Tensor]:
    """Imports a part under its name and returns its inputs to feed."""
    tf.import_graph_def(randomness.seeded(part.graph), input_map=input_map, name=name)
    return [graph.get_tensor_by_name(f"{name}/{tensor}") for tensor in inputs]


def _call(session: tf.compat.v1.Session, graph: tf.Graph, part: Part, name: str, feeds: Sequence[tf.Tensor]) -> _Call:
    fetches = [graph.get_tensor_by_name(f"{name}/{tensor}") for tensor in part.outputs]
    initialize = graph.get_operation_by_name(f"{name}/{part.initialize_op}") if part.initialize_op else None
    keys = None
    if randomness.random_operations(part.graph):
        keys = graph.get_tensor_by_name(f"{name}/{randomness.KEYS}:0")
    return _Call(session, fetches, feeds, initialize, keys)
