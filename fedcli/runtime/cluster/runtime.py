"""fedcli's part of `runtime=ray`: it executes the server's parts of a round, and has clients trained on the cluster."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedcli.datasets.base import FederatedDataset
from fedcli.errors import ConfigError
from fedcli.runtime.base import Runtime
from fedcli.runtime.cluster.actor import versions
from fedcli.runtime.cluster.data import packed
from fedcli.runtime.cluster.messages import (
    Arrays,
    Client,
    Done,
    Group,
    Load,
    Lost,
    Open,
    Opened,
    Ready,
    Round,
    Setup,
    Summed,
    Wanted,
    Warned,
)
from fedcli.runtime.cluster.process import DriverProcess
from fedcli.runtime.cluster.settings import ClusterSettings
from fedcli.runtime.local import available_cores
from fedcli.runtime.round import ClientSum, ClientWork, RoundResult, State

if TYPE_CHECKING:
    from fedcli.runtime.engine.compiled import CompiledRound

_log = logging.getLogger(__name__)

#: What workers execute; the rest of a round is the server's.
_WORKERS_PARTS = ("receive", "work", "zero", "accumulate", "merge")
#: What the driver process may take beyond the deadlines that it keeps itself.
_GRACE_SECONDS = 60.0


class RayRuntime(Runtime):
    """Executes rounds on a Ray cluster.

    Args:
        config: How.
        log_path: File that Ray's messages are appended to.
    """

    def __init__(self, config: ClusterSettings, log_path: Path) -> None:
        self._config = config
        self._ships = config.data == "ship"
        self._round = 0
        self.losses = 0
        self._driver = DriverProcess(log_path)
        self._driver.send(Open(config, available_cores(), versions()))
        self._busy = True

    def load(self, compiled: CompiledRound, dataset: FederatedDataset | None = None) -> None:
        """Starts the workers; see the base class.

        Raises:
            WorkerError: There is no cluster, or a node has other versions.
            DataError: A node does not have the data set's file.
            ConfigError: The data set cannot be sent.
        """
        from fedcli.runtime.engine.sessions import ServerSession

        if dataset is None and not self._ships:
            raise ConfigError("runtime.data=path: there is no data set to send", "set runtime.data=ship")
        theirs = dataclasses.replace(
            compiled, parts={name: part for name, part in compiled.parts.items() if name in _WORKERS_PARTS}, source=None
        )
        setup = Setup(
            environment={name: value for name, value in os.environ.items() if name.startswith("TF_")},
            compiled=pickle.dumps(theirs),
            dataset=None if dataset is None or self._ships else packed(dataset),
        )
        opened = self._said(self._config.start_timeout)
        assert isinstance(opened, Opened)
        self._driver.send(Load(pickle.dumps(setup)))
        self._server = ServerSession(compiled)
        ready = self._said(self._config.start_timeout + _GRACE_SECONDS)
        assert isinstance(ready, Ready)
        self._busy = False
        _log.info("%d Ray workers on %d nodes", ready.workers, ready.nodes)

    def initial_state(self, seed: tuple[int, int]) -> State:
        """Computes the server's state before the first round."""
        return self._server.call("initialize", (), seed)

    def run_round(self, state: State, clients: Sequence[ClientWork], seed: tuple[int, int]) -> RoundResult:
        """Runs one round; see the base class."""
        server = self._server
        total: ClientSum | None = None
        for branch in self._trained(server.call("prepare", state, seed), clients, seed):
            total = branch if total is None else server.merge(total, branch, seed)
        return server.finish(state, total, seed)

    def close(self) -> None:
        """Leaves the cluster; a Ray that was started for the run is ended."""
        self._driver.close(self._busy)

    def _trained(self, broadcast: Arrays, clients: Sequence[ClientWork], seed: tuple[int, int]) -> Iterator[ClientSum]:
        """Has clients trained and yields the tops of the tree of their sums, in order."""
        if not clients:
            return
        self._round += 1
        self._busy = True
        size = self._config.group_size
        self._driver.send(Round(self._round, list(broadcast), -(-len(clients) // size), seed))
        while not isinstance(message := self._said(self._longest_silence), Done):
            match message:
                case Wanted():
                    group = clients[message.index * size : (message.index + 1) * size]
                    self._driver.send(Group(pickle.dumps([self._client(client) for client in group])))
                case Summed():
                    yield message.total

        self._busy = False

    def _client(self, work: ClientWork) -> Client:
        examples = work.read(work.client) if self._ships else None
        return Client(work.client, work.order, work.batch_size, work.seed, examples, work.attacks)

    def _said(self, seconds: float) -> object:
        """Returns the next answer of the driver process, and tells the user what is not one."""
        while True:
            message = self._driver.receive(seconds)
            match message:
                case Lost():
                    self.losses += 1
                    _log.warning(message.what)
                case Warned():
                    _log.warning(message.text)
                case _:
                    return message

    @property
    def _longest_silence(self) -> float:
        # A call is told of when it is over; before it, a worker may have to be started.
        return self._config.call_timeout + 2 * self._config.start_timeout + _GRACE_SECONDS
