"""TensorFlow sessions that execute the parts of a compiled round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedcli.runtime.engine import randomness
from fedcli.runtime.engine.adding import only_adds
from fedcli.runtime.engine.bypass import unpacked
from fedcli.runtime.engine.compiled import CompiledRound, Part
from fedcli.runtime.round import ClientSum, ClientWork, RoundResult, State

Arrays = Sequence[NDArray[np.generic]]


def session_config() -> tf.compat.v1.ConfigProto:
    """One thread for each kernel, so that results do not depend on the machine's number of cores."""
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1, use_per_session_threads=True
    )
    config.gpu_options.allow_growth = True
    return config


def _session(graph: tf.Graph) -> tf.compat.v1.Session:
    """Opens a session for parts. TFF's compiler has optimized them: to try it again takes 0.3 s of the first calls."""
    config = session_config()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.compat.v1.Session(graph=graph, config=config)


class _Call:
    """Tensors of a graph, ready to be fetched from a session again and again.

    Args:
        session: The session.
        fetches: What a call returns.
        feeds: What a call takes.
        parts: The imported parts that it executes, with the names that their random numbers derive from.
    """

    def __init__(
        self,
        session: tf.compat.v1.Session,
        fetches: Sequence[tf.Tensor],
        feeds: Sequence[tf.Tensor],
        parts: Mapping[bytes, _Imported],
    ) -> None:
        initialize = [part.initialize for part in parts.values() if part.initialize is not None]
        self._initialize: Callable[[], object] = session.make_callable(initialize) if initialize else lambda: None
        self._keys = {name: int(part.keys.shape[0]) for name, part in parts.items() if part.keys is not None}
        keys = [part.keys for part in parts.values() if part.keys is not None]
        self._run = session.make_callable(list(fetches), feed_list=[*feeds, *keys])

    def __call__(self, values: Sequence[object], seed: Sequence[int]) -> Arrays:
        self._initialize()
        keys = [randomness.keys((*seed, *name), count) for name, count in self._keys.items()]
        return self._run(*values, *keys)


@dataclass(frozen=True)
class _Imported:
    """A part in a graph.

    Attributes:
        inputs: What is to be fed, where it is not connected to something else.
        outputs: What it computes.
        initialize: To be run before each call.
        keys: The keys of its random operations, to be fed.
    """

    inputs: Sequence[tf.Tensor]
    outputs: Sequence[tf.Tensor]
    initialize: tf.Operation | None
    keys: tf.Tensor | None


class ServerSession:
    """The parts that the server executes, in one graph and session."""

    def __init__(self, compiled: CompiledRound) -> None:
        graph = tf.Graph()
        self._session = _session(graph)
        self._calls: dict[str, _Call] = {}
        self._metrics = [metric.path for metric in compiled.metrics]
        self._merge_adds = only_adds(compiled.parts["merge"])
        with graph.as_default():
            for name, part in compiled.parts.items():
                if name not in ("receive", "work"):
                    imported = _import(graph, part, name)
                    parts = {name.encode(): imported}
                    self._calls[name] = _Call(self._session, imported.outputs, imported.inputs, parts)

    def call(self, part: str, values: Arrays, seed: Sequence[int]) -> Arrays:
        """Executes a part.

        Args:
            part: Its name.
            values: Its inputs, in TFF's order.
            seed: What its random operations derive from.
        """
        return self._calls[part](values, seed)

    def merge(self, first: ClientSum, then: ClientSum, seed: Sequence[int]) -> ClientSum:
        """Merges two sums, the first of the earlier clients.

        Where that only adds them, NumPy does, with the same bits and without a copy into TensorFlow and back.
        """

        def add(one: State, other: State) -> State:
            if not self._merge_adds:
                return self.call("merge", [*one, *other], seed)
            with np.errstate(all="ignore"):  # as TensorFlow adds
                return [np.add(a, b) for a, b in zip(one, other, strict=True)]

        return first.then(then, add)

    def finish(self, state: State, clients: ClientSum | None, seed: Sequence[int]) -> RoundResult:
        """Ends a round.

        Args:
            state: The server's state before the round.
            clients: The sum of all clients; None where there were no clients.
            seed: What random operations derive from.
        """
        clients = clients or ClientSum(None)
        total = self.call("zero", (), seed) if clients.total is None else clients.total
        results = self.call("update", [*state, *self.call("report", total, seed)], seed)
        metrics = dict(zip(self._metrics, results[len(state) :], strict=True))
        return RoundResult(results[: len(state)], metrics, clients.left_out)


class ClientSession:
    """A client's work, with the batching of its examples before it and the beginning of the sum behind it.

    A coded update is so decoded where the client trains, and not where clients wait for their turn to be summed.
    """

    def __init__(self, compiled: CompiledRound) -> None:
        x, y = compiled.batch
        graph = tf.Graph()
        self._session = _session(graph)
        with graph.as_default():
            examples_x = tf.compat.v1.placeholder(x.dtype, x.shape)
            examples_y = tf.compat.v1.placeholder(y.dtype, y.shape)
            batch_size = tf.compat.v1.placeholder(tf.int64, [])
            kept = [tf.compat.v1.placeholder(leaf.dtype, leaf.shape) for leaf in compiled.kept]
            data = [batched(examples_x, examples_y, batch_size)]
            if kept:
                data.append(tf.data.Dataset.from_tensors(tuple(kept)))
            attacks = [tf.compat.v1.placeholder(tf.bool, [])] if compiled.tells_attackers else []
            data += map(tf.data.Dataset.from_tensors, attacks)
            work = _import(graph, compiled.parts["work"], "work", [dataset._variant_tensor for dataset in data])
            zero = _import(graph, compiled.parts["zero"], "zero")
            plain = unpacked(compiled.parts["work"], compiled.parts["accumulate"])
            same = {name: graph.get_tensor_by_name(f"work/{packed}") for name, packed in plain.items()}
            sums = _import(graph, compiled.parts["accumulate"], "accumulate", [*zero.outputs, *work.outputs], same)
            feeds = [examples_x, examples_y, batch_size, *kept, *attacks, *work.inputs]
            beside = [work.outputs[i] for i in compiled.changes_of_kept]
            self._tells_reports = compiled.reports is not None
            if compiled.reports is not None:
                beside.append(work.outputs[compiled.reports])
            receive = _import(graph, compiled.parts["receive"], "receive") if "receive" in compiled.parts else None
            self._receive = _Call(self._session, receive.outputs, receive.inputs, {}) if receive else None
            self._update = _Call(self._session, work.outputs, feeds, {b"": work})
            parts = {b"": work, b"zero": zero, b"accumulate": sums}
            self._sum = _Call(self._session, [*sums.outputs, *beside], feeds, parts)
            self._num_sums = len(sums.outputs)
            self._tells_attackers = compiled.tells_attackers

    def receive(self, broadcast: Arrays) -> Arrays:
        """Does what all clients of a round do alike with what they receive; its result stands for the broadcast."""
        return broadcast if self._receive is None else self._receive(broadcast, ())

    def update(self, client: ClientWork, received: Arrays) -> Arrays:
        """Trains a client and returns what it sends to the server."""
        return self._call(self._update, client, client.read_kept(), received)

    def summed(self, client: ClientWork, received: Arrays) -> ClientSum:
        """Trains a client and returns the sum of what it alone sends; stores its client state if it reports."""
        kept = client.read_kept()
        results = list(self._call(self._sum, client, kept, received))
        if self._tells_reports and not results.pop():
            return ClientSum(None, [client.client])
        sums, changes = results[: self._num_sums], results[self._num_sums :]
        if client.kept is not None:
            client.kept.write([np.add(old, change) for old, change in zip(kept, changes, strict=True)])
        return ClientSum(sums)

    def _call(self, call: _Call, client: ClientWork, kept: Arrays, received: Arrays) -> Arrays:
        examples = client.examples()
        attacks = [client.attacks] if self._tells_attackers else []
        return call([examples.x, examples.y, client.batch_size, *kept, *attacks, *received], client.seed)


def batched(x: tf.Tensor, y: tf.Tensor, batch_size: tf.Tensor | int) -> tf.data.Dataset:
    """Batches examples in the order in which they are.

    Args:
        x: Inputs [n, ...].
        y: Targets [n, ...].
        batch_size: Examples a batch; the last one may be smaller.

    Returns:
        A dataset of (x, y) batches.
    """
    # Without a function: to make an iterator of a dataset with one costs 5 ms a client. Without tf.data's own
    # optimizations, which are looked for anew for each iterator: 4 ms, half of what a client of a small model takes.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size).with_options(options)


def _import(
    graph: tf.Graph,
    part: Part,
    name: str,
    connected: Sequence[tf.Tensor] = (),
    replaced: Mapping[str, tf.Tensor] = MappingProxyType({}),
) -> _Imported:
    """Imports a part under its name.

    Args:
        graph: The graph, which is the current one.
        part: The part.
        name: Its name.
        connected: What its first inputs are connected to.
        replaced: What takes the place of tensors within it.
    """
    known, fed = part.inputs[: len(connected)], part.inputs[len(connected) :]
    given = {**dict(zip(known, connected, strict=True)), **replaced}
    tf.import_graph_def(randomness.seeded(part.graph), input_map=given, name=name)

    def tensor(of: str) -> tf.Tensor:
        # An output that is an input has been replaced by what that is connected to.
        return connected[known.index(of)] if of in known else graph.get_tensor_by_name(f"{name}/{of}")

    return _Imported(
        inputs=[graph.get_tensor_by_name(f"{name}/{of}") for of in fed],
        outputs=[tensor(of) for of in part.outputs],
        initialize=graph.get_operation_by_name(f"{name}/{part.initialize_op}") if part.initialize_op else None,
        keys=tensor(f"{randomness.KEYS}:0") if randomness.random_operations(part.graph) else None,
    )
