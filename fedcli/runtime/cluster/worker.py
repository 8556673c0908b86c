"""What a worker does: it trains groups of clients, and merges sums. Imports TensorFlow, never TFF."""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fedcli.datasets.base import Examples
from fedcli.runtime.cluster.data import unpacked
from fedcli.runtime.cluster.messages import Arrays, Client, Setup
from fedcli.runtime.round import ClientSum, ClientWork
from fedcli.runtime.tensorflow_settings import import_tensorflow, set_up_tensorflow

if TYPE_CHECKING:
    from fedcli.runtime.engine.compiled import CompiledRound


class Worker:
    """Holds the graphs, sessions and the opened data set from round to round.

    Args:
        setup: A pickled `Setup`. Whoever can send one can run anything here, which is how Ray works: see
            docs/cluster.md on who must be able to.

    Raises:
        DataError: This node does not have the data set's file.
    """

    def __init__(self, setup: bytes) -> None:
        loaded: Setup = pickle.loads(setup)  # noqa: S301
        self._dataset = None if loaded.dataset is None else unpacked(loaded.dataset)
        os.environ.update(loaded.environment)
        set_up_tensorflow()
        import_tensorflow()
        from fedcli.runtime.engine.sessions import ClientSession, ServerSession

        compiled: CompiledRound = pickle.loads(loaded.compiled)  # noqa: S301
        self._clients = ClientSession(compiled)
        self._server = ServerSession(compiled)
        self._round: int | None = None

    def train(self, number: int, broadcast: Arrays, seed: tuple[int, int], group: bytes) -> ClientSum:
        """Trains a group of clients and returns the sum of what they send, added in their order.

        Args:
            number: The round; with another number the broadcast is another.
            broadcast: What clients get from the server.
            seed: What the merging takes.
            group: A pickled list of `Client`.
        """
        if number != self._round:
            self._received, self._round = self._clients.receive(broadcast), number
        clients: list[Client] = pickle.loads(group)  # noqa: S301
        return self.merged(seed, (self._clients.summed(self._work(client), self._received) for client in clients))

    def merged(self, seed: tuple[int, int], sums: Iterable[ClientSum]) -> ClientSum:
        """Adds sums in their order."""
        return functools.reduce(lambda first, then: self._server.merge(first, then, seed), sums)

    def _work(self, client: Client) -> ClientWork:
        return ClientWork(
            client.client,
            self._reader(client.examples),
            client.order,
            client.batch_size,
            client.seed,
            attacks=client.attacks,
        )

    def _reader(self, examples: Examples | None) -> Callable[[str], Examples]:
        if examples is not None:
            return lambda client: examples
        assert self._dataset is not None
        return self._dataset.client
