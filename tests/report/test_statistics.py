import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from fedcli.report.statistics import summarize, t_probability, t_quantile, welch


@pytest.mark.parametrize("degrees", [1, 1.5, 2, 3.7, 10, 29.5, 200, 1e5])
@pytest.mark.parametrize("probability", [0.55, 0.9, 0.975, 0.995])
def test_the_quantile_is_scipys(degrees, probability):
    assert t_quantile(probability, degrees) == pytest.approx(special.stdtrit(degrees, probability), rel=1e-8)


@pytest.mark.parametrize("probability", [0.55, 0.9, 0.975, 0.995])
def test_the_quantile_in_closed_form(probability):
    centred = 2 * probability - 1
    assert t_quantile(probability, 1) == pytest.approx(math.tan(math.pi * centred / 2), rel=1e-12)
    two = centred * math.sqrt(2 / (4 * probability * (1 - probability)))
    assert t_quantile(probability, 2) == pytest.approx(two, rel=1e-12)


@pytest.mark.parametrize("t", [0, 1e-6, 0.1, 1, 12.7, 1e6])
def test_the_distribution_is_scipys(t):
    assert t_probability(t, 4.2) == pytest.approx(special.stdtr(4.2, t), abs=1e-10)


def test_a_mean_and_its_spread_by_hand():
    summary = summarize([1.0, 2.0, 6.0])
    assert (summary.n, summary.missing, summary.mean) == (3, 0, 3.0)
    assert summary.spread == pytest.approx(math.sqrt(14 / 2))


def test_values_that_are_not_finite_are_counted_not_averaged():
    summary = summarize([float("nan"), 2.0, None, float("inf")])
    assert (summary.n, summary.missing, summary.mean, summary.spread) == (1, 3, 2.0, None)
    assert summarize([None]).mean is None


def test_huge_values_do_not_fail():
    assert summarize([1e308, 1e308, 1e308]).spread == 0
    assert summarize([1e308, -1e308, 3e307]).spread == math.inf


values = st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=2, max_size=8)


@given(values, values)
def test_the_interval_is_scipys(first, second):
    found = welch(first, second)
    assert found is not None
    if len(set(first)) == len(set(second)) == 1:
        assert found.degrees is None
        assert found.low == found.high == found.value
        return
    # The interval ends where Welch's test of SciPy rejects at 5 %.
    for end in (found.low, found.high):
        assert end is not None
        with warnings.catch_warnings():
            # SciPy says that it loses digits where all values of a side are equal.
            warnings.simplefilter("ignore", RuntimeWarning)
            test = stats.ttest_ind([value - end for value in first], second, equal_var=False)
        assert test.pvalue == pytest.approx(0.05, rel=1e-6)


def test_one_seed_gives_no_interval():
    found = welch([0.9], [0.5, 0.6])
    assert found is not None
    assert found.value == pytest.approx(0.35)
    assert found.low is None
    assert not found.excludes_zero
    assert welch([], [1.0]) is None
