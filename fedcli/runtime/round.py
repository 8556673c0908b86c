"""The data of one round: each client's work, the sum of the updates and the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import Examples

if TYPE_CHECKING:
    pass

#: The server's state: its tensors in TFF's order, as `CompiledRound.state` names them.
State = Sequence[NDArray[np.generic]]


class Kept(Protocol):
    """What one client keeps from one round in which it takes part to the next; see `CompiledRound.kept`."""

    def read(self) -> State:
        """Returns it as it was after the last such round, zero before the first."""

    def write(self, tensors: State) -> None:
        """Takes what it is after this round."""


@dataclass(frozen=True)
class ClientWork:
    """What one client does in one round.

    Attributes:
        client: The client's id.
        read: Reads a client's examples by its id. Called once, perhaps in another thread.
        order: From the number of examples to the int64 indices [steps x batch_size or fewer] in the order in
            which the client trains on them. It can be pickled, as clients may be trained on other machines.
        batch_size: Examples a batch; the last batch may be smaller.
        seed: Two 64-bit numbers from which the client's random operations derive.
        kept: What the client keeps; None where the round is one whose clients keep nothing. Read and written once,
            perhaps in another thread.
        attacks: Whether the client sends what an attack makes of its update, where the round is one with attackers.
        size: Counts a client's examples by its id; None where only reading them tells.
    """

    client: str
    read: Callable[[str], Examples]
    order: Callable[[int], NDArray[np.int64]]
    batch_size: int
    seed: tuple[int, int]
    kept: Kept | None = None
    attacks: bool = False
    size: Callable[[str], int] | None = None

    def length(self) -> int:
        """Counts the examples of the client's training, each as often as it trains on it; 0 if that is not known."""
        return 0 if self.size is None else len(self.order(self.size(self.client)))

    def read_kept(self) -> State:
        """Returns what the client has kept; nothing where clients keep nothing."""
        return [] if self.kept is None else self.kept.read()

    def examples(self) -> Examples:
        """Reads the client's examples and puts them in the order of its training, [steps x batch_size or fewer]."""
        examples = self.read(self.client)
        order = self.order(len(examples))
        return Examples(examples.x[order], examples.y[order])


@dataclass(frozen=True)
class ClientSum:
    """The sum over clients of what they send.

    Attributes:
        total: The sum, tensor by tensor; None if no client reports.
        left_out: Clients that trained and do not report, since their update is not finite; see `CompiledRound.reports`.
    """

    total: State | None
    left_out: Sequence[str] = ()

    def then(self, later: ClientSum, add: Callable[[State, State], State]) -> ClientSum:
        """Adds the sum over later clients.

        Args:
            later: That sum.
            add: Adds two totals.
        """
        left_out = [*self.left_out, *later.left_out]
        if self.total is None or later.total is None:
            return ClientSum(later.total if self.total is None else self.total, left_out)
        return ClientSum(add(self.total, later.total), left_out)


@dataclass(frozen=True)
class RoundResult:
    """What one round gives.

    Attributes:
        state: The server's new state. If no client reports, it is of no use but with an aggregator that adds noise: a
            mean of nothing is not finite.
        metrics: What TFF reports, by path, for example `client_work/train/loss`.
        left_out: Clients that do not report; see `ClientSum`.
    """

    state: State
    metrics: Mapping[str, NDArray[np.generic]]
    left_out: Sequence[str] = ()
