"""What fedcli, the process that drives Ray and the workers say to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import Examples
from fedcli.errors import FedcliError
from fedcli.runtime.cluster.settings import ClusterSettings
from fedcli.runtime.round import ClientSum

Arrays = Sequence[NDArray[np.generic]]
#: Names and versions of what must be the same on every node, for example ("TensorFlow", "2.14.1").
Versions = Mapping[str, str]


@dataclass(frozen=True)
class Setup:
    """What a worker needs for the whole run; the same for all of them.

    Attributes:
        environment: Variables that change TensorFlow's numbers.
        compiled: The parts of the round that workers execute, pickled: to read them takes TensorFlow.
        dataset: The data set, see `data.packed`; None where examples are sent with the work.
    """

    environment: Mapping[str, str]
    compiled: bytes
    dataset: bytes | None


@dataclass(frozen=True)
class Client:
    """One client's work in one round; see `fedcli.runtime.round.ClientWork`.

    Attributes:
        client: Its id.
        order: From the number of examples to their order.
        batch_size: Examples a batch.
        seed: What its random operations derive from.
        examples: Its examples; None where the worker reads them.
        attacks: Whether it attacks.
    """

    client: str
    order: Callable[[int], NDArray[np.int64]]
    batch_size: int
    seed: tuple[int, int]
    examples: Examples | None
    attacks: bool


# From fedcli to the driver process.


@dataclass(frozen=True)
class Open:
    """Connect to a cluster, or start one. Answered by `Opened`.

    Attributes:
        config: How.
        cores: Processors of this machine that a local Ray may use.
        versions: Those of this machine.
    """

    config: ClusterSettings
    cores: int
    versions: Versions


@dataclass(frozen=True)
class Load:
    """Start workers. Answered by `Ready`.

    Attributes:
        setup: A pickled `Setup`.
    """

    setup: bytes


@dataclass(frozen=True)
class Round:
    """Train a round's clients. Answered by a `Wanted` for each call, and a `Summed` for each top of the tree.

    Attributes:
        number: Another one for each round of the run.
        broadcast: What clients get from the server.
        groups: Number of groups of clients.
        seed: What the merging of sums takes.
    """

    number: int
    broadcast: Arrays
    groups: int
    seed: tuple[int, int]


@dataclass(frozen=True)
class Group:
    """The answer to `Wanted`.

    Attributes:
        work: A pickled list of `Client`.
    """

    work: bytes


@dataclass(frozen=True)
class Close:
    """Leave the cluster, or end it."""


# From the driver process to fedcli.


@dataclass(frozen=True)
class Opened:
    """There is a cluster, and this is connected to it."""


@dataclass(frozen=True)
class Ready:
    """Workers are ready.

    Attributes:
        workers: How many.
        nodes: On how many nodes.
    """

    workers: int
    nodes: int


@dataclass(frozen=True)
class Wanted:
    """A worker is free for a group.

    Attributes:
        index: The group's position.
    """

    index: int


@dataclass(frozen=True)
class Summed:
    """The next top of the tree, in order.

    Attributes:
        total: The sum.
    """

    total: ClientSum


@dataclass(frozen=True)
class Done:
    """The round is done."""


@dataclass(frozen=True)
class Lost:
    """A call was lost with its worker and will be made again.

    Attributes:
        what: What happened, for the log.
    """

    what: str


@dataclass(frozen=True)
class Warned:
    """Something that the user should know.

    Attributes:
        text: What.
    """

    text: str


@dataclass(frozen=True)
class Failed:
    """It cannot go on.

    Attributes:
        error: Why.
    """

    error: FedcliError
