"""What every source is read as: rows that can be used, and rows that cannot, with the reason and the place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.sqlite import TEST, TRAIN

#: Longer text names no client and no class: a column was taken for another, or a quote was never closed.
_LONGEST_NAME = 200
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LARGEST = float(np.finfo(np.float32).max)


class RowError(Exception):
    """A row cannot be used; the message says why."""


@dataclass(frozen=True)
class Row:
    """A row that can be used.

    Attributes:
        client: Whose it is.
        split: `TRAIN` or `TEST`; None where the source does not say.
        label: Name of its class; None for text.
        content: The inputs, float32 of the source's `x_shape`, or text, UTF-8; None where it was not read.
    """

    client: str
    split: str | None
    label: str | None
    content: NDArray[np.float32] | bytes | None


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        place: Where it is, for people: `line 5`, `anna/3/1.png`.
        reason: Why it cannot be used.
    """

    place: str
    reason: str


class Source(Protocol):
    """Something to import. It can be read several times, and is never held in memory."""

    @property
    def kind(self) -> str:
        """`image`, `table` or `text`."""

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of one input; () for text."""

    @property
    def unit(self) -> str:
        """What a row is called, in the plural: `rows`, `files`."""

    @property
    def columns(self) -> list[str]:
        """Names of the inputs of a table; empty for others."""

    @property
    def client_from(self) -> str | None:
        """What names the client, for people; None where nothing does: then all rows are one client's."""

    @property
    def split_from(self) -> str | None:
        """What names the split, for people; None where nothing does."""

    @property
    def notes(self) -> list[str]:
        """What people should know of how the source was read, a sentence each; complete after `rows` ended."""

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads all rows, in order.

        Args:
            contents: Whether contents are needed. If not, a source whose contents are slow to read leaves them out,
                and does not find the rows that are bad because of them.
        """


def name_of(value: Any, what: str) -> str:
    """Reads the name of a client or of a split from a value of a table.

    Args:
        value: Text as in CSV, or a value as Parquet has it.
        what: What it is, for the reason.

    Raises:
        RowError: There is none.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise RowError(f"the {what} is not UTF-8") from error
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value).strip()
    if not text or text.lower() == "nan":
        raise RowError(f"no {what}")
    if len(text) > _LONGEST_NAME:
        raise RowError(f"the {what} has {len(text):,} characters")
    if not is_text(text):
        raise RowError(f"the {what} is not UTF-8")
    return text


def label_of(value: Any) -> str:
    """Reads the name of a class: a word or a whole number; `3.0`, which programs make of 3, is 3.

    Raises:
        RowError: There is none, or it is a fraction.
    """
    text = name_of(value, "label")
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        if not number.is_integer():
            raise RowError(f"label {text} is a fraction: a class is a whole number or a word")
        if not text.isdigit():
            return str(int(number))
    return text


def split_of(value: Any) -> str:
    """Reads the name of a split.

    Raises:
        RowError: It is neither `train` nor `test`.
    """
    text = name_of(value, "split")
    if text.lower() not in (TRAIN, TEST):
        raise RowError(f"split {text} is neither {TRAIN} nor {TEST}")
    return text.lower()


def number_of(value: Any, column: str) -> float:
    """Reads a number that float32 can hold.

    Args:
        value: Text as in CSV, or a value as Parquet has it.
        column: Where it is from, for the reason.

    Raises:
        RowError: It is none.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise RowError(f"column {column}: no value")
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()) and not _is_special(value):
        raise RowError(f"column {column}: {shortened(value)!r} is no number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise RowError(f"column {column}: {shortened(str(value))!r} is no number") from error
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise RowError(f"column {column}: {shortened(str(value).strip())} is not a finite number of 32 bits")
    return number


def text_of(value: Any) -> bytes:
    """Reads a text, as UTF-8. It may be empty.

    Raises:
        RowError: There is none.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise RowError("no text")
    if isinstance(value, bytes):
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise RowError("the text is not UTF-8") from error
        return value
    return str(value).encode()


def is_text(text: str) -> bool:
    """Says whether UTF-8 has all characters: surrogates, which stand for bytes that are not UTF-8, it has not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shortened(text: str, most: int = 40) -> str:
    """Cuts a text of unknown length for a message."""
    return text if len(text) <= most else f"{text[:most]}..."


def _is_special(text: str) -> bool:
    return text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
