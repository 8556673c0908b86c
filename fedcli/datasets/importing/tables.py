"""Reads tables, CSV and Parquet, row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from fedcli.datasets.importing.columns import ColumnNames, Columns
from fedcli.datasets.importing.rows import BadRow, Row, RowError, is_text
from fedcli.errors import DataError, UsageError
from fedcli.extras import how_to_install

#: A quote that is never closed makes a field of the rest of the file: characters to read before giving up.
_LONGEST_FIELD = 2**24
#: A line that never ends makes a row of the rest of the file: likewise.
_LONGEST_LINE = 2**26
#: Bytes that a column of a part of a Parquet file may unpack to: at least these, and so many times its size.
_ALWAYS_UNPACKED, _MOST_TIMES = 2**28, 150
#: Rows of a Parquet file that are held at once.
_ROWS_AT_ONCE = 1024


class _Table:
    """What tables have in common.

    Args:
        path: The file.
        names: What the user says of its columns.
        header: Names of its columns.
    """

    unit = "rows"

    def __init__(self, path: Path, names: ColumnNames, header: list[str]) -> None:
        self._path = path
        self._header = header
        self._found = Columns.find(names, header, str(path))
        self.kind = "text" if names.text is not None else "table"
        self.columns = self._found.features
        self.x_shape: tuple[int, ...] = (len(self.columns),) if self.columns else ()
        self.client_from = None if names.client is None else f"column {names.client}"
        self.split_from = None if names.split is None else f"column {names.split}"

    @property
    def notes(self) -> list[str]:
        """Names the columns that were left out; see the protocol."""
        left_out = self._found.left_out
        if not left_out:
            return []
        return [f"not an input, since it has no name: {', '.join(left_out)}; --features names the inputs otherwise"]

    def _row(self, place: str, values: list[Any]) -> Row | BadRow:
        try:
            return self._found.row(values)
        except RowError as error:
            return BadRow(place, str(error))


class CsvTable(_Table):
    """A CSV file (RFC 4180): the first line names the columns, text is UTF-8. Empty lines are no rows.

    Args:
        path: The file.
        names: What the user says of its columns.
        delimiter: What separates fields.

    Raises:
        UsageError: A column is not there, or there is no header.
    """

    def __init__(self, path: Path, names: ColumnNames, delimiter: str = ",") -> None:
        self._delimiter = delimiter
        with self._reader(path) as reader:
            try:
                header = [name.strip() for name in next(reader, [])]
            except csv.Error as error:
                raise UsageError(f"{path}: line 1 is no header of a CSV file ({error})", _HEADER) from error
        if not any(header) or not is_text("".join(header)):
            raise UsageError(f"{path}: line 1 does not name columns", _HEADER)
        super().__init__(path, names, header)

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads the rows; see the protocol."""
        with self._reader(self._path) as reader:
            next(reader, None)
            while True:
                place = f"line {reader.line_num + 1}"
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    yield BadRow(place, str(error))
                    continue
                if values is None:
                    return
                if not values:
                    continue
                if len(values) != len(self._header):
                    yield BadRow(place, f"{len(values):,} fields instead of {len(self._header):,}")
                elif not is_text("".join(values)):
                    yield BadRow(place, "not UTF-8")
                else:
                    yield self._row(place, values)

    @contextmanager
    def _reader(self, path: Path) -> Iterator[Any]:
        before = csv.field_size_limit(_LONGEST_FIELD)
        try:
            # Bytes that are not UTF-8 become surrogates, which `is_text` finds: one such row is no reason to stop.
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield csv.reader(_lines(file, path), delimiter=self._delimiter, strict=True)
        finally:
            csv.field_size_limit(before)


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Yields the lines of a CSV file, and so never holds more of it than one may have.

    Raises:
        DataError: A line is too long.
    """
    number = 1
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE and not line.endswith(("\r", "\n")):
            raise DataError(
                f"{path}: line {number} has more than {_LONGEST_LINE:,} characters",
                "write the file again, a row a line; nothing was written",
            )
        yield line
        number += 1


class ParquetTable(_Table):
    """A Parquet file, read a piece at a time.

    Args:
        path: The file.
        names: What the user says of its columns.

    Raises:
        UsageError: A column is not there, or pyarrow is not installed.
        DataError: It is no Parquet file, or unpacks to far more than data does.
    """

    def __init__(self, path: Path, names: ColumnNames) -> None:
        with _parquet(path) as file:
            header = list(file.schema_arrow.names)
            _refuse_bomb(file.metadata, path)
        super().__init__(path, names, header)

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads the rows; see the protocol."""
        used = list(self._found.positions)
        number = 0
        with _parquet(self._path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=used, use_threads=False):
                columns = [batch.column(name).to_pylist() for name in used]
                for position in range(batch.num_rows):
                    number += 1
                    values: list[Any] = [None] * len(self._header)
                    for name, column in zip(used, columns, strict=True):
                        values[self._found.positions[name]] = column[position]
                    yield self._row(f"row {number}", values)


def _refuse_bomb(metadata: Any, path: Path) -> None:
    """Refuses a file a column of which unpacks to far more than its size; Parquet unpacks a page of it at once."""
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for place in range(row_group.num_columns):
            column = row_group.column(place)
            most = max(_ALWAYS_UNPACKED, _MOST_TIMES * column.total_compressed_size)
            if column.total_uncompressed_size > most:
                raise DataError(
                    f"{path}: column {column.path_in_schema} unpacks to {column.total_uncompressed_size:,} bytes, more "
                    f"than {_MOST_TIMES} times its size",
                    "write it again in smaller row groups",
                )


_HEADER = "the first line of a CSV file names its columns, separated by what --delimiter says"


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UsageError(
            f"{path}: reading Parquet needs pyarrow, which is not installed", how_to_install("parquet")
        ) from error
    try:
        with ParquetFile(path) as file:
            yield file
    except pyarrow.ArrowException as error:
        raise DataError(
            f"{path} is not a sound Parquet file ({' '.join(str(error).split())[:200]})", "write it again"
        ) from error
