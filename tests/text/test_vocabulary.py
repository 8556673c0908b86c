import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.text.vocabulary import UNKNOWN, VOCABULARY, decode, encode, unknown_characters


def test_the_studys_86_characters():
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 86
    assert "".join(VOCABULARY).startswith("dhlptx@DHLPTX $(,048cgkosw")
    assert VOCABULARY[-1] == "\r"
    assert encode("d\r Z").tolist() == [0, 85, 13, VOCABULARY.index("Z")]


@given(st.text(alphabet=VOCABULARY))
def test_text_of_the_vocabulary_comes_back(text):
    assert decode(encode(text)) == text
    assert unknown_characters(text) == []
    assert encode(text).tolist() == encode(text.encode()).tolist()


@given(st.text())
def test_any_text(text):
    ids = encode(text)
    assert ids.dtype == np.int32
    assert len(ids) == len(text)
    outside = unknown_characters(text)
    for position, character in outside:
        assert text[position] == character
        assert ids[position] == UNKNOWN
    changed = list(text)
    for position, _ in outside:
        changed[position] = VOCABULARY[UNKNOWN]
    assert decode(ids) == "".join(changed)


@given(st.lists(st.integers(0, 85)))
def test_indices_come_back(indices):
    assert encode(decode(indices)).tolist() == indices


def test_bytes_outside_are_unknown_each():
    assert encode("é".encode()).tolist() == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("indices", [[-1], [86], [[0, 85], [3, 99]]])
def test_indices_outside_are_refused(indices):
    with pytest.raises(ValueError, match=r"\[0, 86\)"):
        decode(indices)


def test_any_shape():
    assert decode([[0, 1], [2, 3]]) == "dhlp"
    assert decode([]) == ""
