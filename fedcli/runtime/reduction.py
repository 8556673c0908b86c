"""The order in which clients' sums are merged: a tree that depends on nothing but how many there are.

Floating-point sums depend on their order in the last bits. With one order for every runtime, a round gives the same
bits on one thread and on a thousand machines, and a machine can merge a branch while others train the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


def fan_in(group_size: int) -> int:
    """Returns how many sums each node of the tree merges: a group of clients, then a group of groups, and so on."""
    return max(2, group_size)


class OrderedSum(Generic[T]):
    """Merges values that arrive one after the other, holding only a branch's beginning for each level of the tree.

    A node merges `fan_in` nodes of the level below, the first with the second, that with the third, and so on; a last
    node has what is left. So a round of n clients holds at most log(n) sums, and up to `fan_in ** 2` clients are summed
    as in groups merged in order.

    Args:
        merge: Adds two values; the first is that of the earlier clients.
        fan_in: Nodes that a node merges, at least 2.
    """

    def __init__(self, merge: Callable[[T, T], T], fan_in: int) -> None:
        self._merge = merge
        self._fan_in = fan_in
        self._branches: list[list[T]] = []  # of each level, its sum so far if it has one
        self._counts: list[int] = []

    def add(self, value: T) -> None:
        """Adds the next value."""
        level = 0
        while True:
            if level == len(self._branches):
                self._branches.append([])
                self._counts.append(0)
            branch = self._branches[level]
            value = self._merge(branch.pop(), value) if branch else value
            self._counts[level] += 1
            if self._counts[level] < self._fan_in:
                branch.append(value)
                return
            self._counts[level] = 0
            level += 1

    def total(self) -> T | None:
        """Returns the sum of all values; None if there was none."""
        # A branch that is not full is the last child of the one above.
        total: list[T] = []
        for branch in self._branches:
            total = [self._merge(branch[0], total[0])] if branch and total else branch or total
        return total[0] if total else None


@dataclass(frozen=True, order=True)
class Node:
    """A node of the tree.

    Attributes:
        level: 0 for groups of clients, 1 for groups of those, ...
        index: Its position among the nodes of its level.
    """

    level: int
    index: int


class Tree:
    """The same tree, laid out: which node merges which.

    Args:
        leaves: Groups of clients, of `fan_in` clients each (or one, where groups are of one).
        fan_in: Nodes that a node merges.
    """

    def __init__(self, leaves: int, fan_in: int) -> None:
        self._fan_in = fan_in
        self._counts = [leaves]
        while self._counts[-1] > fan_in:
            self._counts.append(-(-self._counts[-1] // fan_in))

    @property
    def leaves(self) -> int:
        """Number of groups of clients."""
        return self._counts[0]

    def tops(self) -> list[Node]:
        """Lists the nodes whose merging, in this order, gives the total; at most `fan_in`."""
        level = len(self._counts) - 1
        return [Node(level, index) for index in range(self._counts[level])]

    def parent(self, node: Node) -> Node | None:
        """Returns the node that merges this one; None for those that `tops` lists."""
        return None if node.level + 1 == len(self._counts) else Node(node.level + 1, node.index // self._fan_in)

    def children(self, node: Node) -> list[Node]:
        """Lists the nodes that a node merges, in order; none for a group of clients."""
        if node.level == 0:
            return []
        first = node.index * self._fan_in
        last = min(first + self._fan_in, self._counts[node.level - 1])
        return [Node(node.level - 1, index) for index in range(first, last)]
