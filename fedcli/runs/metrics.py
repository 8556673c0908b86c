"""metrics.csv: one row a round, on the disk before the next round begins."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from fedcli.columns import COMMON
from fedcli.errors import RunDirectoryError
from fedcli.runs.appended import AppendedFile
from fedcli.runs.atomic import damaged, storage_errors, write_bytes
from fedcli.runs.bounded import MOST_METRICS, read_bounded

Value = int | float | None
Row = dict[str, Value]

#: Columns that every run has, in this order. An aggregator's own measurements follow them.
COLUMNS = tuple(COMMON)

_INT = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?([0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|inf)|nan")


class MetricsWriter:
    """Appends rows to metrics.csv, each of which is on the disk when `append` returns.

    An existing file is continued: a last line that a killed process left half written is cut off.

    Args:
        path: The file. Its folder must exist.
        extra: Columns after the common ones. If None, an existing file's, or else those of the first row.
            Give them if the first row (the evaluation of the initial model) does not have them yet.

    Raises:
        RunDirectoryError: The file cannot be written, is damaged, or has columns other than `extra`.
    """

    def __init__(self, path: Path, extra: Sequence[str] | None = None) -> None:
        self.path = path
        self._columns = None if extra is None else _order(extra)
        self._last_round = -1
        self._file = AppendedFile(path, self._take_up)

    def append(self, row: Mapping[str, Any]) -> None:
        """Writes one round's metrics.

        Args:
            row: Numbers by column. `round` must be there and be larger than any before; others may be absent
                or None, which leaves the cell empty.

        Raises:
            RunDirectoryError: The row has a column that the file does not have, its round is there already,
                or it cannot be written; the file is then as it was before.
        """
        if self._columns is None:
            self._columns = _order(row)
        if unknown := [name for name in row if name not in self._columns]:
            raise _other_columns(self.path, unknown, [])
        round = int(row["round"])
        cells = [_format(value) for value in ({**row, "round": round}.get(name) for name in self._columns)]
        if round <= self._last_round:
            raise RunDirectoryError(
                f"{self.path} already has round {self._last_round}, so round {round} cannot follow",
                "continue the run with `--resume`, or start a new one",
            )
        self._file.append(_line(cells) if self._file.size else _line(self._columns) + _line(cells))
        self._last_round = round

    def close(self) -> None:
        """Closes the file; there is nothing left to write."""
        self._file.close()

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _take_up(self, data: bytes) -> int:
        """Goes on where a file ends; returns the bytes of its whole lines."""
        table = _parse(self.path, data)
        if table.columns:
            if self._columns is not None and set(self._columns) != set(table.columns):
                raise _other_columns(self.path, self._columns, table.columns)
            self._columns = table.columns
        self._last_round = max(table.rounds, default=-1)
        return table.size


def read_metrics(path: Path) -> list[Row]:
    """Reads metrics.csv, also while a run writes it.

    Returns:
        One dict a row: int, float, or None where the cell is empty. A half-written last line is passed over.

    Raises:
        RunDirectoryError: The file cannot be read, or is damaged elsewhere than at its end, or is no regular file.
    """
    return _parse(path, _read(path)).rows


def last_round(path: Path) -> int | None:
    """Returns the last round up to which metrics.csv has the row of each round, from 0; None without row 0.

    Rows after a gap do not count: a run that went on from there would complete with rounds that nobody can read.

    Raises:
        RunDirectoryError: The file cannot be read, or is damaged elsewhere than at its end.
    """
    if not path.exists():
        return None
    complete = [row["round"] for index, row in enumerate(read_metrics(path)) if row["round"] == index]
    return len(complete) - 1 if complete else None


def check_columns(path: Path, extra: Sequence[str]) -> None:
    """Refuses a metrics.csv that does not have the columns that a run is going to write.

    Args:
        path: The file, which need not exist.
        extra: Columns after the common ones.

    Raises:
        RunDirectoryError: It has others, cannot be read or is damaged.
    """
    if not path.exists():
        return
    table = _parse(path, _read(path))
    columns = _order(extra)
    if table.columns and set(columns) != set(table.columns):
        raise _other_columns(path, columns, table.columns)


def truncate_metrics(path: Path, round: int) -> None:
    """Rewrites metrics.csv without the rows of rounds later than `round`, and without a half-written line.

    A file that does not exist is left so.

    Raises:
        RunDirectoryError: The file cannot be read or written, or is damaged.
    """
    if not path.exists():
        return
    data = _read(path)
    table = _parse(path, data)
    # The lines are kept as they are, not formatted again: what was measured is not touched.
    kept = [line for line, number in zip(table.lines, table.rounds, strict=True) if number <= round]
    content = b"".join([table.header, *kept])
    if content != data:
        write_bytes(path, content)


@dataclass
class _Table:
    """What a metrics.csv holds, up to a half-written last line: raw lines, and what they mean."""

    columns: tuple[str, ...]
    header: bytes
    lines: list[bytes]
    rows: list[Row]

    @property
    def rounds(self) -> list[int]:
        return [round for row in self.rows if isinstance(round := row["round"], int)]

    @property
    def size(self) -> int:
        return len(self.header) + sum(map(len, self.lines))


def _read(path: Path) -> bytes:
    with storage_errors(path, "read"):
        return read_bounded(path, MOST_METRICS)


def _parse(path: Path, data: bytes) -> _Table:
    # Only a line that ends is whole: "0.25" may be the beginning of "0.2578".
    header, *lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True) or [b""]
    if not header:
        return _Table((), b"", [], [])
    try:
        columns = tuple(_cells(header))
    except ValueError as error:
        raise damaged(path, f"line 1: {error}") from error
    if len(set(columns)) != len(columns) or "round" not in columns:
        raise damaged(path, "line 1 is not a header of metrics.csv")
    rows: list[Row] = []
    previous = -1
    for index, line in enumerate(lines):
        try:
            row = dict(zip(columns, map(_value, _cells(line)), strict=True))
            round = row["round"]
            if not isinstance(round, int) or round <= previous:
                raise ValueError(f"round {round} after round {previous}")
        except ValueError as error:
            if index == len(lines) - 1:
                # After a power cut the last block can hold anything, a line end included.
                return _Table(columns, header, lines[:-1], rows)
            raise damaged(path, f"line {index + 2}: {error}") from error
        previous = round
        rows.append(row)
    return _Table(columns, header, lines, rows)


def _cells(line: bytes) -> list[str]:
    try:
        [cells] = csv.reader([line.decode().rstrip("\r\n")], strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return cells


def _value(cell: str) -> Value:
    if not cell:
        return None
    if _INT.fullmatch(cell):
        return int(cell)
    if _FLOAT.fullmatch(cell):
        return float(cell)
    raise ValueError(f"{cell!r} is not a number")


def _line(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


def _format(value: Any) -> str:
    """Formats a number so that reading it gives the same number again."""
    if hasattr(value, "item"):  # NumPy's scalars, without importing NumPy
        value = value.item()
    if value is None:
        return ""
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    raise TypeError(f"a metric is a number, not {value!r}")


def _order(names: Iterable[str]) -> tuple[str, ...]:
    extra = [name for name in names if name not in COLUMNS]
    for name in extra:
        if not name or not name.isprintable():  # a line end in a name would end the header
            raise ValueError(f"{name!r} cannot name a column")
    if len(set(extra)) != len(extra):
        raise ValueError(f"column names are not unique: {extra}")
    return (*COLUMNS, *extra)


def _other_columns(path: Path, got: Iterable[str], expected: Iterable[str]) -> RunDirectoryError:
    unknown = sorted(set(got) - set(expected))
    missing = sorted(set(expected) - set(got))
    difference = [f"has no column {', '.join(unknown)}"] if unknown else []
    difference += [f"has a column {', '.join(missing)} that the run does not measure"] if missing else []
    return RunDirectoryError(
        f"{path} {' and '.join(difference)}",
        "resume with the config that the run was started with, or start a new run",
    )
