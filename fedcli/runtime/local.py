"""`runtime=local`: the compiled round, executed in this process by TensorFlow sessions.

Each thread that trains clients has a graph and a session of its own, since variables live in the session. Updates
are decoded by the thread that trained the client and summed in the clients' order as they arrive, so memory does not
grow with the number of clients. TensorFlow's
kernels use one thread each: how many clients train at a time then changes nothing in the numbers.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import FederatedDataset
from fedcli.ranges import Count, Range
from fedcli.runtime import runtimes
from fedcli.runtime.base import Runtime, RuntimeConfig
from fedcli.runtime.idle import Idle, OnePerThread
from fedcli.runtime.reduction import OrderedSum, fan_in
from fedcli.runtime.round import ClientSum, ClientWork, RoundResult, State

if TYPE_CHECKING:
    from fedcli.runtime.engine.compiled import CompiledRound
    from fedcli.runtime.engine.sessions import ClientSession, ServerSession

Arrays = Sequence[NDArray[np.generic]]

# To load a round and to run it for the first time takes half a second, which the jobs of a sweep would all spend. A run
# has up to three rounds: its own, and those by which its evaluations train.
_servers: Idle[ServerSession] = Idle(kinds=3)
_clients: Idle[ClientSession] = Idle(kinds=3)

# So many of a round's last clients for each thread may begin in another order than that in which they are summed.
_REORDERED = 4

_share: int | None = None


def available_cores() -> int:
    """Counts the cores that this process may use."""
    cores = len(os.sched_getaffinity(0))
    return cores if _share is None else min(cores, _share)


@contextmanager
def cores_shared(share: int | None) -> Iterator[None]:
    """Lets this process use only so many cores while the block runs, since others run beside it; None for all."""
    global _share
    before, _share = _share, share
    try:
        yield
    finally:
        _share = before


@runtimes.register("local")
@dataclass(frozen=True)
class Local(RuntimeConfig):
    """Executes rounds in this process.

    Attributes:
        threads: Clients that train at the same time; None for as many as this process has cores.
        group_size: Clients whose updates are summed in order; groups are then summed alike, see `reduction`.
        cache: Whether compiled rounds are kept on disk, so that the next run of such a config starts without TFF.
    """

    serves_kept = True

    name: str = "local"
    threads: Annotated[int, Range(1, 1024)] | None = None
    group_size: Count = 10
    cache: bool = True

    @property
    def caches_rounds(self) -> bool:
        """As the key says; see the base class."""
        return self.cache

    def start(self, log_path: Path) -> LocalRuntime:
        """Nothing has to start."""
        return LocalRuntime(self.threads or available_cores(), self.group_size)


class LocalRuntime(Runtime):
    """Executes the rounds of one compiled computation in this process.

    Args:
        threads: Clients that train at the same time.
        group_size: Clients whose updates are summed in order; groups are then summed alike, see `reduction`.
    """

    def __init__(self, threads: int, group_size: int) -> None:
        self._threads = threads
        self._group_size = group_size
        self._pool = ThreadPoolExecutor(threads, "fedcli-client")
        self._compiled: CompiledRound | None = None

    def load(self, compiled: CompiledRound, dataset: FederatedDataset | None = None) -> None:
        """Takes the computation whose rounds are to be run; see the base class."""
        from fedcli.runtime.engine.sessions import ClientSession, ServerSession

        self._give_back()
        self._server = _servers.take(compiled, lambda: ServerSession(compiled))
        self._sessions: OnePerThread[ClientSession] = OnePerThread(_clients, compiled, lambda: ClientSession(compiled))
        self._compiled = compiled

    def initial_state(self, seed: tuple[int, int]) -> State:
        """Computes the server's state before the first round."""
        return self._server.call("initialize", (), seed)

    def run_round(self, state: State, clients: Sequence[ClientWork], seed: tuple[int, int]) -> RoundResult:
        """Runs one round; see the base class."""
        server = self._server
        broadcast = server.call("prepare", state, seed)
        summed: OrderedSum[ClientSum] = OrderedSum(
            lambda first, then: server.merge(first, then, seed), fan_in(self._group_size)
        )
        for client_sum in self._train(clients, broadcast):
            summed.add(client_sum)
        return server.finish(state, summed.total(), seed)

    def close(self) -> None:
        """Ends the threads; a client that is in training is finished first."""
        self._pool.shutdown(cancel_futures=True)
        self._give_back()

    def _give_back(self) -> None:
        if self._compiled is not None:
            _servers.give_back(self._compiled, [self._server])
            self._sessions.give_back()
            self._compiled = None

    def _train(self, clients: Sequence[ClientWork], broadcast: Arrays) -> Iterator[ClientSum]:
        """Trains clients, a few ahead of the one whose sum is taken, and yields their sums in order.

        The last few begin at once, the longest first: threads so end at about the same time, where one would wait
        while another trains a long client. Their sums wait for their turn.
        """
        received = self._pool.submit(self._receive, broadcast).result() if clients else ()
        in_order = max(0, len(clients) - _REORDERED * self._threads)
        last = sorted(range(in_order, len(clients)), key=lambda place: -clients[place].length())
        waiting = deque([*range(in_order), *last])
        begun: dict[int, Future[ClientSum]] = {}
        try:
            for place in range(len(clients)):
                while waiting and (len(begun) <= self._threads or waiting[0] >= in_order):
                    following = waiting.popleft()
                    begun[following] = self._pool.submit(self._train_one, clients[following], received)
                yield begun.pop(place).result()
        finally:
            for future in begun.values():
                future.cancel()

    def _receive(self, broadcast: Arrays) -> Arrays:
        return self._sessions.get().receive(broadcast)

    def _train_one(self, client: ClientWork, received: Arrays) -> ClientSum:
        return self._sessions.get().summed(client, received)
