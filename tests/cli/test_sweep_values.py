"""Each value that a key is swept over, once and in an order that stays."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.cli.sweep_values import with_each_value_once
from fedcli.errors import ConfigError

GROUPS = {"aggregator": ["coordinate_median", "compression", "mean"]}


def listed(override):
    (result,) = with_each_value_once([override], GROUPS)
    return result


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("seed=1,1,2", "seed=1,2"),
        ("seed=choice(1,2,1)", "seed=1,2"),
        ("seed=1,1", "seed=1"),
        ("+seed=2,1,2", "+seed=2,1"),
        ("a=0.1,0.10,1e-1,0.2", "a=0.1,0.2"),
        ("a=x,'x',y", "a='x',y"),
        ("aggregator=glob(c*)", "aggregator=coordinate_median,compression"),
        ("aggregator=glob(co*,exclude=comp*)", "aggregator=coordinate_median"),
        # These stay as they are.
        ("seed=1,2", "seed=1,2"),
        ("seed=1", "seed=1"),
        ("seed=range(1,4)", "seed=range(1,4)"),
        ("a=1,1.0,true", "a=1,1.0,true"),
        ("a=[1,1],[1]", "a=[1,1],[1]"),
        ("a=interval(0,1)", "a=interval(0,1)"),
        ("a=(", "a=("),
    ],
)
def test_values_are_listed_once(typed, expected):
    assert listed(typed) in (expected, expected.replace("'x'", "x"))


def test_a_shuffled_list_is_shuffled_once():
    random.seed(1)
    first = listed("seed=shuffle(range(1,30))")
    assert sorted(first.partition("=")[2].split(","), key=int) == list(map(str, range(1, 30)))
    assert listed(first) == first
    assert first != listed("seed=shuffle(range(1,30))")


@pytest.mark.parametrize("typed", ["aggregator=glob(zz*)", "seed=glob(*)", "seed=range(1,3,0)", "seed=range(3,1)"])
def test_no_values_are_refused(typed):
    with pytest.raises(ConfigError):
        listed(typed)


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3) | st.sampled_from(["a", "b", "0.5", "x y"]), min_size=2))
def test_no_value_is_lost_and_the_order_stays(values):
    written = [f"'{value}'" if value == "x y" else str(value) for value in values]
    once = listed(f"a={','.join(written)}").partition("=")[2].split(",")
    assert once == list(dict.fromkeys(written))
