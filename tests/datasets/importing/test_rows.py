import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.datasets.importing.rows import RowError, label_of, name_of, number_of, split_of, text_of


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_number_is_what_was_written(value):
    assert np.float32(number_of(repr(value), "a")) == np.float32(value)
    assert number_of(value, "a") == value
    assert number_of(f" {value!r} ", "a") == value


@given(st.text())
def test_text_is_a_number_or_bad_never_anything_else(text):
    try:
        value = number_of(text, "a")
    except RowError:
        return
    assert math.isfinite(value)
    assert value == float(text)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "column a: no value"),
        ("  ", "column a: no value"),
        (None, "column a: no value"),
        ("abc", "column a: 'abc' is no number"),
        ("1_000", "column a: '1_000' is no number"),
        ("1,5", "column a: '1,5' is no number"),
        ("nan", "column a: nan is not a finite number of 32 bits"),
        ("-inf", "column a: -inf is not a finite number of 32 bits"),
        ("1e300", "column a: 1e300 is not a finite number of 32 bits"),
        (float("nan"), "column a: nan is not a finite number of 32 bits"),
        ([1], "column a: '[1]' is no number"),
        ("x" * 1000, f"column a: {'x' * 40 + '...'!r} is no number"),
    ],
)
def test_what_is_no_number(value, reason):
    with pytest.raises(RowError) as caught:
        number_of(value, "a")
    assert str(caught.value) == reason


def test_values_of_parquet_are_numbers_too():
    assert [number_of(value, "a") for value in (True, 3, Decimal("2.5"))] == [1.0, 3.0, 2.5]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("3", "3"),
        ("3.0", "3"),
        (3.0, "3"),
        (3, "3"),
        (" a b ", "a b"),
        ("+3", "3"),
        ("1e3", "1000"),
        ("-1", "-1"),
        (True, "true"),
        (b"cat", "cat"),
        ("007", "007"),
        ("NA", "NA"),
        ("inf", "inf"),
        ("é", "é"),
    ],
)
def test_labels(value, label):
    assert label_of(value) == label


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "no label"),
        (" ", "no label"),
        (None, "no label"),
        ("NaN", "no label"),
        (float("nan"), "no label"),
        ("3.5", "label 3.5 is a fraction: a class is a whole number or a word"),
        (0.25, "label 0.25 is a fraction: a class is a whole number or a word"),
        ("y" * 201, "the label has 201 characters"),
        (b"\xff", "the label is not UTF-8"),
        ("\udcff", "the label is not UTF-8"),
    ],
)
def test_what_is_no_label(value, reason):
    with pytest.raises(RowError) as caught:
        label_of(value)
    assert str(caught.value) == reason


def test_splits():
    assert [split_of(value) for value in ("train", "TEST", " Test ")] == ["train", "test", "test"]
    with pytest.raises(RowError, match="split val is neither train nor test"):
        split_of("val")


def test_names_and_texts():
    assert [name_of(value, "client") for value in (7.0, "7.0", "a/b")] == ["7", "7.0", "a/b"]
    assert [text_of(value) for value in ("", "é", b"x", 5)] == [b"", "é".encode(), b"x", b"5"]
    for value, reason in ((None, "no text"), (float("nan"), "no text"), (b"\xff", "the text is not UTF-8")):
        with pytest.raises(RowError, match=reason):
            text_of(value)
