"""Splits each client's rows into train and test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fedcli.datasets.sqlite import TEST, TRAIN


@dataclass(frozen=True)
class Fraction:
    """A fraction of each client's rows is the test split; every client keeps at least one to train on.

    Attributes:
        test: The fraction, rounded to whole rows for each client.
        seed: Where the choice among a client's rows comes from.
        last: Whether it is the last ones instead of a choice: for text, whose lines belong together. So are the
            test lines of federated Shakespeare (McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3).
    """

    test: float
    seed: int
    last: bool

    def __str__(self) -> str:
        if self.last:
            return f"the last {self.test:g} of each client's lines"
        return f"{self.test:g} of each client's rows, chosen with seed {self.seed}"

    def count(self, rows: int) -> int:
        """Returns how many of a client's rows are for the test."""
        return max(0, min(rows - 1, int(rows * self.test + 0.5)))


class Splitter:
    """Says of each row, as it comes, which split it belongs to. Keeps two numbers a client.

    Args:
        fraction: How much is for the test.
        counts: Rows of each client.
    """

    def __init__(self, fraction: Fraction, counts: Mapping[str, int]) -> None:
        self._fraction = fraction
        self._counts = counts
        self._seen: dict[str, tuple[int, int]] = {}

    def split_of(self, client: str) -> str:
        """Returns the split of a client's next row."""
        seen, chosen = self._seen.get(client, (0, 0))
        left = self._counts.get(client, 0) - seen
        wanted = self._fraction.count(self._counts.get(client, 0)) - chosen
        # Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S): every choice of so many
        # rows is as likely as any other, and which one depends on the seed and the client alone.
        chance = 1.0 if self._fraction.last else _chance(self._fraction.seed, client, seen)
        is_test = chance * left < wanted or left <= wanted
        self._seen[client] = (seen + 1, chosen + is_test)
        return TEST if is_test else TRAIN


def _chance(seed: int, client: str, position: int) -> float:
    """Returns a number from [0, 1) that looks random."""
    digest = hashlib.blake2b(repr((seed, client, position)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2**53
