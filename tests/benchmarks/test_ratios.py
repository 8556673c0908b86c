import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ratios import paired

_positive = st.floats(1e-3, 1e3)
_pairs = st.lists(st.tuples(_positive, _positive), min_size=1, max_size=20)


def test_pairs_are_divided_before_they_are_averaged() -> None:
    # The machine was three times slower during the second pair; medians of each side would say 2 / 1.
    ratio = paired([(1, 2), (3, 6), (2, 4)])
    assert (ratio.median, ratio.low, ratio.high) == (0.5, 0.5, 0.5)
    assert (ratio.subject, ratio.reference, ratio.pairs) == (2, 4, 3)


def test_quartiles_show_the_spread() -> None:
    ratio = paired([(of, 10) for of in (1, 2, 3, 4, 5)])
    assert (ratio.low, ratio.median, ratio.high) == pytest.approx((0.2, 0.3, 0.4))


def test_one_pair_has_no_spread() -> None:
    ratio = paired([(3, 4)])
    assert (ratio.low, ratio.median, ratio.high) == (0.75, 0.75, 0.75)


def test_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="no pair"):
        paired([])


@given(_pairs)
def test_quartiles_enclose_the_median(pairs: list[tuple[float, float]]) -> None:
    ratio = paired(pairs)
    assert ratio.low <= ratio.median <= ratio.high
    assert ratio.median == statistics.median(a / b for a, b in pairs)


@given(_pairs, _positive)
def test_a_faster_machine_changes_no_ratio(pairs: list[tuple[float, float]], speed: float) -> None:
    faster = paired([(a / speed, b / speed) for a, b in pairs])
    assert faster.median == pytest.approx(paired(pairs).median)
