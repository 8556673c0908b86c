"""One round: hands groups of clients to workers, lets them merge, and does again what is lost."""

from __future__ import annotations

import heapq
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, RayError

from fedcli.errors import FedcliError, WorkerError
from fedcli.runtime.cluster.messages import Lost, Round, Summed
from fedcli.runtime.cluster.settings import ClusterSettings
from fedcli.runtime.cluster.workers import LOOK_SECONDS, Ended, Slot, Workers, alive_nodes, brief
from fedcli.runtime.reduction import Node, Tree, fan_in
from fedcli.runtime.round import ClientSum

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sum:
    """A finished sum.

    Attributes:
        node: Id of Ray's node that has it.
        data: Ray's reference to it.
    """

    node: str
    data: Any


class Dispatch:
    """The state of one round.

    Groups are begun in their order and no more than a few ahead of those that are merged, so that the memory of all
    nodes together holds a number of sums that does not depend on the number of clients.

    Args:
        round: What is to be done.
        workers: Who does it.
        config: How often a call is tried.
        group: Returns a group's work, pickled.
        tell: Takes what fedcli should know: sums in order, losses.
    """

    def __init__(
        self,
        round: Round,
        workers: Workers,
        config: ClusterSettings,
        group: Callable[[int], bytes],
        tell: Callable[[Summed | Lost], None],
    ) -> None:
        self._round = round
        self._workers = workers
        self._config = config
        self._group = group
        self._tell = tell
        self._fan_in = fan_in(config.group_size)
        self._tree = Tree(round.groups, self._fan_in)
        self._tops = self._tree.tops()
        self._broadcast = ray.put(round.broadcast)
        self._sums: dict[Node, Sum] = {}
        self._running: set[Node] = set()
        #: What can be done now and comes before new groups: merges, and groups that were lost.
        self._urgent: list[Node] = []
        self._begun = 0
        #: Groups that are begun and not merged.
        self._open: set[Node] = set()
        self._delivered = 0
        self._tries: Counter[Node] = Counter()

    def run(self) -> None:
        """Runs the round.

        Raises:
            FedcliError: A call fails again and again, or no worker is left.
        """
        while self._delivered < len(self._tops):
            self._assign()
            if not self._deliver():
                for ended in self._workers.wait():
                    self._take(ended)

    def _assign(self) -> None:
        """Gives idle workers something to do."""
        ahead = self._fan_in + 2 * len(self._workers.ready)
        while (slot := self._workers.idle()) is not None and (node := self._next(ahead)) is not None:
            self._running.add(node)
            if node.level:
                parts = [self._sums[child] for child in self._tree.children(node)]
                arguments = (self._round.seed, *(part.data for part in parts))
                needs = {part.node for part in parts}
                self._workers.call(slot, "merge", *arguments, what=f"merging {_name(node)}", tag=node, needs=needs)
            else:
                self._train(slot, node)

    def _train(self, slot: Slot, node: Node) -> None:
        self._open.add(node)
        work = self._group(node.index)
        round = self._round
        arguments = (round.number, self._broadcast, round.seed, work)
        self._workers.call(slot, "train", *arguments, what=f"training {_name(node)}", tag=node)

    def _next(self, ahead: int) -> Node | None:
        """Returns what is to be done next; None if that has to wait for something.

        Args:
            ahead: At most so many groups are begun and not merged.
        """
        while self._urgent:
            node = heapq.heappop(self._urgent)
            # What it merges may have been lost since.
            if all(child in self._sums for child in self._tree.children(node)):
                return node
        if self._begun == self._tree.leaves or len(self._open) >= ahead:
            return None
        self._begun += 1
        return Node(0, self._begun - 1)

    def _deliver(self) -> bool:
        """Hands over the tops of the tree that are there, in order; says whether there is anything new to assign."""
        changed = False
        while self._delivered < len(self._tops) and (node := self._tops[self._delivered]) in self._sums:
            changed = True
            try:
                total = self._fetched(self._sums[node])
            except RayError as error:
                self._again([node], error)
                break
            self._tell(Summed(total))
            del self._sums[node]
            self._open.discard(node)
            self._delivered += 1
        return changed

    def _fetched(self, total: Sum) -> ClientSum:
        """Fetches a sum.

        Raises:
            RayError: It is lost, or does not come.
        """
        end = time.monotonic() + self._config.call_timeout
        while True:
            try:
                return ray.get(total.data, timeout=max(0.0, min(LOOK_SECONDS, end - time.monotonic())))
            except GetTimeoutError:
                # Where the node is gone, Ray may never say so.
                if total.node not in alive_nodes() or time.monotonic() >= end:
                    raise

    def _take(self, ended: Ended) -> None:
        """Takes the end of a call."""
        node: Node = ended.call.tag
        self._running.remove(node)
        if ended.failure is None:
            self._sums[node] = Sum(ended.head, ended.call.body)
            for child in self._tree.children(node):
                del self._sums[child]
                self._open.discard(child)
            parent = self._tree.parent(node)
            if parent is not None and all(child in self._sums for child in self._tree.children(parent)):
                heapq.heappush(self._urgent, parent)
            return
        self._again(self._missing(node, ended.failure), ended.failure)

    def _missing(self, node: Node, failure: Exception) -> list[Node]:
        """Returns what has to be done again for a node: itself, or what was lost of what it merges."""
        alive = alive_nodes()
        children = self._tree.children(node)
        gone = [child for child in children if self._sums[child].node not in alive]
        if gone or not isinstance(failure, ObjectLostError):
            return gone or [node]
        # It is not known yet which of them it was.
        return children or [node]

    def _again(self, nodes: list[Node], failure: Exception) -> None:
        """Does again what was lost; what is merged from it then follows by itself.

        Raises:
            FedcliError: It was tried too often.
        """
        for node in nodes:
            self._tries[node] += 1
            if self._tries[node] >= self._config.tries:
                raise _given_up(failure, self._tries[node])
            self._tell(Lost(f"round {self._round.number}: {_name(node)} is done again: {brief(failure)}"))
            self._sums.pop(node, None)
            for lost in self._leaves_without_sum(node):
                heapq.heappush(self._urgent, lost)

    def _leaves_without_sum(self, node: Node) -> list[Node]:
        """Returns what has to be begun so that a node is summed in the end."""
        children = self._tree.children(node)
        missing = [child for child in children if child not in self._sums and child not in self._running]
        if not missing:
            return [node]
        return [leaf for child in missing for leaf in self._leaves_without_sum(child) if leaf not in self._urgent]


def _given_up(failure: Exception, tries: int) -> FedcliError:
    if isinstance(failure, FedcliError):
        return type(failure)(f"{failure.message} (tried {tries} times)", failure.hint)
    return WorkerError(f"{brief(failure)} (tried {tries} times)")


def _name(node: Node) -> str:
    return f"group {node.index + 1}" if node.level == 0 else f"branch {node.index + 1} of level {node.level}"
