import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.datasets.importing.row_numbers import RowNumbers


def numbering(columns):
    """Returns the positions of the columns that number the rows."""
    finder = RowNumbers([str(position) for position in range(len(columns))])
    for row in zip(*columns, strict=True):
        finder.add(np.array(row, np.float32))
    return [int(name) for name in finder.found()]


@settings(deadline=None)
@given(start=st.integers(-1000, 10_000_000), rows=st.integers(10, 60), seed=st.integers(0, 1000))
def test_whole_numbers_that_follow_each_other_are_found_in_any_order(start, rows, seed):
    numbers = list(range(start, start + rows))
    shuffled = np.random.default_rng(seed).permutation(numbers)
    twice = [*numbers[:-1], numbers[-2]]
    halves = [number / 2 for number in range(rows)]
    assert numbering([numbers, halves, shuffled, twice]) == [0, 2]


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=10, max_size=14))
def test_nothing_else_is_found(numbers):
    follow = sorted(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))
    assert numbering([numbers]) == ([0] if follow else [])


@pytest.mark.parametrize("numbers", [range(9), [0.5 + i for i in range(20)], [i * 2 for i in range(20)]])
def test_few_rows_fractions_and_steps_are_no_numbering(numbers):
    assert numbering([list(numbers)]) == []
