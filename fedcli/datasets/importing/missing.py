"""Spellings that stand for a missing value in a table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: Spellings of pandas (`pandas.read_csv`'s list), R, SQL and spreadsheets, compared letter by letter:
#: `none` and `na` are words, and so may be classes.
SPELLINGS = frozenset(
    {
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "<NA>", "N/A", "n/a", "NaT"),
        *("NaN", "nan", "NAN", "-NaN", "-nan", "None", "NA", "NULL", "null"),
        *(r"\N", "(null)", "<null>"),
        *("#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!", "#CALC!", "#SPILL!", "#GETTING_DATA"),
    }
)


class Missing:
    """Tells which values of a table are missing. An empty value and Parquet's null always are.

    Args:
        spellings: Texts that stand for a missing value. A number among them, such as -999, also stands for the same
            number written otherwise.
    """

    def __init__(self, spellings: Iterable[str] = SPELLINGS) -> None:
        self._texts = frozenset(spellings)
        self._numbers = frozenset(float(text) for text in self._texts if _NUMBER.fullmatch(text))

    @property
    def has_numbers(self) -> bool:
        """Whether a number stands for a missing value."""
        return bool(self._numbers)

    def spelling(self, value: Any) -> str | None:
        """Returns how a value spells that it is missing; None if it does not.

        Args:
            value: Text as in CSV, or a value as Parquet has it.
        """
        if isinstance(value, str):
            text = value.strip()
            if text in self._texts:
                return text
            if self._numbers and _NUMBER.fullmatch(text) and float(text) in self._numbers:
                return text
        elif self._numbers and isinstance(value, int | float) and not math.isnan(value) and value in self._numbers:
            return f"{value:g}"
        return None
