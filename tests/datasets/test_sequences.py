import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedcli.datasets.base import PADDING
from fedcli.datasets.sequences import cut_sequences

TEXTS = st.lists(st.integers(0, 85), max_size=60).map(lambda ids: np.array(ids, np.int32))
LENGTHS = st.integers(1, 12)


@given(TEXTS, LENGTHS)
def test_unpadded_targets_are_the_text_without_the_first_of_each_chunk(text, length):
    examples = cut_sequences(text, length)
    expected = [character for i, character in enumerate(text) if i % (length + 1)]
    assert examples.y[examples.y != PADDING].tolist() == expected


@given(TEXTS, LENGTHS)
def test_each_target_follows_its_input(text, length):
    examples = cut_sequences(text, length)
    chunks = [text[i : i + length + 1] for i in range(0, len(text), length + 1)]
    chunks = [chunk for chunk in chunks if len(chunk) >= 2]
    assert len(examples) == len(chunks)
    for x, y, chunk in zip(examples.x, examples.y, chunks, strict=True):
        known = len(chunk) - 1
        assert x[:known].tolist() == chunk[:-1].tolist()
        assert y[:known].tolist() == chunk[1:].tolist()
        assert (x[known:] == 0).all()
        assert (y[known:] == PADDING).all()


@given(TEXTS, LENGTHS)
def test_drop_remainder_keeps_the_full_chunks(text, length):
    padded = cut_sequences(text, length)
    full = cut_sequences(text, length, drop_remainder=True)
    assert len(full) == len(text) // (length + 1)
    assert PADDING not in full.y
    np.testing.assert_array_equal(full.x, padded.x[: len(full)])
    np.testing.assert_array_equal(full.y, padded.y[: len(full)])


@given(TEXTS, LENGTHS, st.booleans())
def test_shapes_and_types(text, length, drop_remainder):
    examples = cut_sequences(text, length, drop_remainder)
    assert examples.x.shape == examples.y.shape == (len(examples), length)
    assert examples.x.dtype == examples.y.dtype == np.int32
    if len(text) < 2:
        assert len(examples) == 0
