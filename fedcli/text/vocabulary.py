"""The 86 characters of the TFF text generation study, each with its index.

The published Dickens model was trained with them in this order:
https://www.tensorflow.org/federated/tutorials/federated_learning_for_text_generation
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The characters in the order of their indices.
VOCABULARY: tuple[str, ...] = tuple(
    "dhlptx@DHLPTX $(,048cgkoswCGKOSW[_#'/37;?bfjnrvzBFJNRVZ\"&*.26:\naeimquyAEIMQUY]!%)-159\r"
)

#: What a character outside the vocabulary becomes: the index of `d`, as in the study, which has no other.
UNKNOWN = 0

# All characters are ASCII: a table of 256 entries encodes text and raw bytes without a loop.
_INDEX_OF_BYTE = np.full(256, UNKNOWN, np.int32)
_INDEX_OF_BYTE[[ord(character) for character in VOCABULARY]] = np.arange(len(VOCABULARY), dtype=np.int32)
_CHARACTERS = np.array(VOCABULARY)
_KNOWN = frozenset(VOCABULARY)
#: Kinds of characters that a note lists.
_LISTED = 8
_KNOWN_BYTES = "".join(VOCABULARY).encode()


def encode(text: str | bytes) -> NDArray[np.int32]:
    """Turns text into indices.

    Args:
        text: Text, one index a character; or bytes, one index a byte, as the study splits its data.

    Returns:
        Indices, [length of the text]; `UNKNOWN` for what is outside the vocabulary.
    """
    if isinstance(text, str):
        # NUL is outside the vocabulary as well, and one byte.
        text = "".join(c if c in _KNOWN else "\0" for c in text).encode("ascii")
    return _INDEX_OF_BYTE[np.frombuffer(text, np.uint8)]


def decode(indices: ArrayLike) -> str:
    """Turns indices back into text.

    Args:
        indices: Integers in [0, 86), of any shape; read in order.

    Raises:
        ValueError: An index is outside (padding is no character: remove it first).
    """
    flat = np.asarray(indices).reshape(-1)
    if not flat.size:
        return ""
    if flat.min() < 0 or flat.max() >= len(VOCABULARY):
        raise ValueError(f"character indices must be in [0, {len(VOCABULARY)})")
    return "".join(_CHARACTERS[flat])


def unknown_bytes(text: bytes) -> bytes:
    """Returns the bytes that `encode` cannot represent; what is UTF-8 stays so, since the vocabulary is ASCII."""
    return text.translate(None, delete=_KNOWN_BYTES)


def unknown_note(counts: Mapping[str, int], count: int, total: int, unit: str) -> str:
    """Says for people how much of a text `encode` cannot represent.

    Args:
        counts: How often each character outside the vocabulary occurs, most frequent first.
        count: How much of the text is outside.
        total: Length of the text.
        unit: What both are counted in, such as `characters`.
    """
    # Escaped, since such a character may well be one that no terminal shows.
    listed = ", ".join(f"{character!a} ({n:,})" for character, n in list(counts.items())[:_LISTED])
    more = f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    return (
        f"{count:,} of {total:,} {unit} ({100 * count / total:.2g} %) are outside the vocabulary "
        f"and read as {VOCABULARY[UNKNOWN]!r}: {listed}{more}"
    )


def unknown_characters(text: str) -> list[tuple[int, str]]:
    """Finds the characters that `encode` cannot represent.

    Returns:
        (position, character) of each, in order; empty if the text comes back unchanged from `decode`.
    """
    return [(position, character) for position, character in enumerate(text) if character not in _KNOWN]
