import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.datasets.subset import choose_clients, spread_subset
from fedcli.errors import ConfigError


@given(st.integers(0, 5000), st.none() | st.integers(0, 5000))
def test_subset_is_ascending_distinct_and_repeatable(total, limit):
    chosen = spread_subset(total, limit)
    assert len(chosen) == (total if limit is None else min(total, limit))
    assert (np.diff(chosen) > 0).all()
    assert not len(chosen) or (chosen[0] >= 0 and chosen[-1] < total)
    np.testing.assert_array_equal(chosen, spread_subset(total, limit))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=50), st.integers(1, 300))
def test_clients_are_represented_in_proportion(sizes, limit):
    owner = np.repeat(np.arange(len(sizes)), sizes)
    chosen = spread_subset(len(owner), limit)
    taken = np.bincount(owner[chosen], minlength=len(sizes))
    assert (abs(taken - np.array(sizes) * len(chosen) / len(owner)) < 2).all()


def test_all_clients_sorted():
    assert choose_clients(["a", "b"], None) == ["a", "b"]
    assert choose_clients(["b", "a", "c"], ["c", "a", "c"]) == ["a", "c"]


@pytest.mark.parametrize(
    ("chosen", "hint"),
    [
        (["PLAY_KNG"], "did you mean PLAY_KING?"),
        (["king"], "did you mean PLAY_KING?"),
        (["zz"], "the 2 clients have ids such as PLAY_KING"),
        ([], "null for all clients"),
    ],
)
def test_unknown_clients_get_a_suggestion(chosen, hint):
    with pytest.raises(ConfigError) as caught:
        choose_clients(["PLAY_KING", "other"], chosen)
    assert hint in caught.value.hint
