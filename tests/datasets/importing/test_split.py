from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.datasets.importing.split import Fraction, Splitter


def split(rows, fraction):
    counts = Counter(rows)
    splitter = Splitter(fraction, counts)
    return [splitter.split_of(client) for client in rows]


@given(st.lists(st.sampled_from("abcd"), max_size=80), st.floats(0.01, 0.99), st.integers(0, 3), st.booleans())
def test_each_client_has_its_fraction_and_something_to_train_on(rows, test, seed, last):
    fraction = Fraction(test, seed, last)
    found = split(rows, fraction)
    for client, count in Counter(rows).items():
        own = [part for row, part in zip(rows, found, strict=True) if row == client]
        assert own.count("test") == fraction.count(count) < count
        assert abs(own.count("test") - count * test) <= 1
        if last:
            assert own == sorted(own, reverse=True)
    assert found == split(rows, fraction)


def test_a_choice_depends_on_the_seed_and_not_on_other_clients():
    alone = split(["a"] * 50, Fraction(0.3, 1, False))
    among = split(["b", "a"] * 50, Fraction(0.3, 1, False))[1::2]
    assert alone == among
    assert alone != split(["a"] * 50, Fraction(0.3, 2, False))


def test_every_row_is_as_likely():
    counts = Counter()
    for seed in range(2000):
        counts.update(i for i, part in enumerate(split(["a"] * 10, Fraction(0.3, seed, False))) if part == "test")
    # Standard deviation of each: sqrt(2000 * 0.3 * 0.7) = 20.5; 4.5 of them.
    assert all(abs(counts[i] - 600) < 92 for i in range(10))


@pytest.mark.parametrize(("rows", "expected"), [(1, 0), (2, 0), (3, 1), (10, 2)])
def test_rounding(rows, expected):
    assert Fraction(0.2, 0, False).count(rows) == expected
