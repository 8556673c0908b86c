"""Finds inputs of a table that number its rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: In fewer rows, whole numbers that follow each other are no rare thing.
_FEWEST_ROWS = 10


class RowNumbers:
    """Tells which columns hold n whole numbers that follow each other, each once, in any order.

    Such a column numbers rows: an index that a program wrote, or what is left of it after the rows were shuffled. It
    keeps a few numbers a column. That all are different it concludes from their sum and the sum of their squares,
    modulo 2^64.

    Args:
        columns: Names of the columns.
    """

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns
        self._rows = 0
        self._left = np.arange(len(columns))
        self._least, self._most = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
        self._sums = np.zeros((2, len(columns)), np.uint64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Takes a row's values in these columns into account."""
        self._rows += 1
        if not len(self._left):
            return
        left = values[self._left].astype(np.float64)
        whole = (left == np.rint(left)) & (np.abs(left) < 2**24)  # beyond, float32 does not tell whole numbers apart
        if not whole.all():
            left, self._left = left[whole], self._left[whole]
            self._least, self._most, self._sums = self._least[whole], self._most[whole], self._sums[:, whole]
        np.minimum(self._least, left, out=self._least)
        np.maximum(self._most, left, out=self._most)
        numbers = left.astype(np.int64).astype(np.uint64)
        self._sums += np.stack([numbers, numbers * numbers])

    def found(self) -> list[str]:
        """Returns the names of the columns that number the rows."""
        if self._rows < _FEWEST_ROWS:
            return []
        result = []
        for place, column in enumerate(self._left):
            least, most = int(self._least[place]), int(self._most[place])
            if most - least + 1 == self._rows and self._sums[:, place].tolist() == _sums(least, most):
                result.append(self._columns[column])
        return result


def _sums(least: int, most: int) -> list[int]:
    """Returns the sum of the whole numbers from `least` to `most`, and that of their squares, modulo 2^64."""
    below = least - 1

    def squares(n: int) -> int:
        return n * (n + 1) * (2 * n + 1) // 6

    total = (most * (most + 1) - below * (below + 1)) // 2
    return [total % 2**64, (squares(most) - squares(below)) % 2**64]
