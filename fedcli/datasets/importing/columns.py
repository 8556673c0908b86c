"""Which columns of a table are what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np

from fedcli.datasets.importing.missing import SPELLINGS, Missing
from fedcli.datasets.importing.rows import Row, RowError, label_of, name_of, number_of, split_of, text_of
from fedcli.errors import UsageError

#: The client of every row where no column names one.
ONE_CLIENT = "all"
#: More columns than this are not listed.
_LISTED = 20
#: Columns that hold row names and have no name of their own: pandas' `to_csv` and R's `write.csv` write them without a
#: name, pandas and readr read them back as `Unnamed: 0` and `...1`, pandas' Parquet calls them `__index_level_0__`.
_ROW_NAMES = re.compile(r"|Unnamed: \d+(_level_\d+)?|\.\.\.\d+|__index_level_\d+__", re.ASCII)


@dataclass(frozen=True)
class ColumnNames:
    """What the user says of a table's columns.

    Attributes:
        label: The class of a row.
        client: Whose row it is; None if all rows are one client's.
        split: `train` or `test`; None if there is no such column.
        features: The inputs; None for all columns that are nothing else and have a name.
        text: The text of a row: then there is neither label nor features.
        missing: Spellings of a missing value; None for the usual ones.
    """

    label: str | None = None
    client: str | None = None
    split: str | None = None
    features: Sequence[str] | None = None
    text: str | None = None
    missing: Sequence[str] | None = None


@dataclass(frozen=True)
class Columns:
    """The columns in use, found in a table.

    Attributes:
        names: What the user said.
        positions: Position of each column in use.
        features: Names of the inputs, in order.
        missing: Tells which values are missing.
        left_out: Columns without a name, which are no inputs, for people.
    """

    names: ColumnNames
    positions: dict[str, int]
    features: list[str] = field(default_factory=list)
    missing: Missing = field(default_factory=Missing)
    left_out: list[str] = field(default_factory=list)

    @classmethod
    def find(cls, names: ColumnNames, header: Sequence[str], file: str) -> Columns:
        """Finds the columns.

        Args:
            names: What the user says.
            header: Names of all columns.
            file: The table, for messages.

        Raises:
            UsageError: A column is missing, there twice, or not fit for what it is to be.
        """
        if names.text is None and names.label is None:
            raise UsageError(
                f"{file}: which column is the label?", f"give --label COLUMN, or --text COLUMN; {_listed(header)}"
            )
        if names.text is not None and (names.label is not None or names.features is not None):
            raise UsageError(
                "--text: a text has neither --label nor --features", "give --text, or --label and --features"
            )
        given = {"--label": names.label, "--client": names.client, "--split": names.split, "--text": names.text}
        for option, column in given.items():
            if column is not None:
                _check(option, column, header, file)
        others = {names.label, names.client, names.split}
        features, left_out = list(names.features or ()), []
        if names.text is None and not features:
            features = [column for column in header if column not in others and not _ROW_NAMES.fullmatch(column)]
            left_out = [
                f"column {position}{f' ({column})' if column else ''}"
                for position, column in enumerate(header, 1)
                if column not in others and _ROW_NAMES.fullmatch(column)
            ]
        for column in features:
            _check("--features", column, header, file)
            if column in others:
                raise UsageError(
                    f"--features {column}: that column is the label, the client or the split",
                    "the model would be given what it is to find out: leave it out",
                )
        if names.text is None and not features:
            raise UsageError(
                f"{file}: no column is left for the inputs", f"give --features COLUMN,...; {_listed(header)}"
            )
        used = [column for column in (*given.values(), *features) if column is not None]
        missing = Missing(SPELLINGS if names.missing is None else names.missing)
        return cls(names, {column: header.index(column) for column in used}, features, missing, left_out)

    def row(self, values: Sequence[Any]) -> Row:
        """Reads a row.

        Args:
            values: A value for each column of the table.

        Raises:
            RowError: It cannot be used.
        """
        names = self.names
        client = ONE_CLIENT if names.client is None else name_of(self._value(values, names.client, "client"), "client")
        split = None if names.split is None else split_of(self._value(values, names.split, "split"))
        if names.text is not None:
            text = text_of(self._value(values, names.text, "text"))
            # Texts of a client are joined: without a line end the words at the seams would grow together.
            return Row(client, split, None, text if text.endswith(b"\n") else text + b"\n")
        assert names.label is not None
        label = label_of(self._value(values, names.label, "label"))
        numbers = [self._number(values, column) for column in self.features]
        return Row(client, split, label, np.array(numbers, np.float32))

    def _number(self, values: Sequence[Any], column: str) -> float:
        if self.missing.has_numbers:
            return number_of(self._value(values, column), column)
        try:
            return number_of(values[self.positions[column]], column)
        except RowError:
            # Only now, since a table has many numbers: a spelling of a missing value is none.
            self._value(values, column)
            raise

    def _value(self, values: Sequence[Any], column: str, what: str | None = None) -> Any:
        """Returns a row's value in a column.

        Args:
            values: A value for each column of the table.
            column: The column.
            what: What it is, for the reason; None for an input.

        Raises:
            RowError: A text there stands for a missing value.
        """
        value = values[self.positions[column]]
        spelling = self.missing.spelling(value)
        if spelling is not None:
            no_value = f"column {column}: no value" if what is None else f"no {what}"
            raise RowError(f"{no_value} ({spelling} stands for a missing one; see --missing)")
        return value


def _check(option: str, column: str, header: Sequence[str], file: str) -> None:
    if column not in header:
        close = get_close_matches(column, header, n=1)
        guess = f"did you mean {close[0]}? " if close else ""
        raise UsageError(f"{option} {column}: {file} has no such column", f"{guess}{_listed(header)}")
    if header.count(column) > 1:
        raise UsageError(f"{option} {column}: {file} has {header.count(column)} such columns", "rename all but one")


def _listed(header: Sequence[str]) -> str:
    more = f" and {len(header) - _LISTED:,} more" if len(header) > _LISTED else ""
    return f"its columns: {', '.join(header[:_LISTED])}{more}"
