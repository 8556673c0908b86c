"""participants.csv: who was asked in each round, and what became of each."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from fedcli.runs.appended import AppendedFile
from fedcli.runs.atomic import damaged, storage_errors, write_bytes
from fedcli.runs.bounded import MOST_METRICS, read_bounded
from fedcli.runs.metrics import Row

#: Columns of metrics.csv that count the participants by outcome begin with it.
_COUNTS = "clients/"
_OUTCOMES = ("reported", "dropped", "cut")
_COLUMNS = ("round", "client", "outcome", "examples", "seconds")


@dataclass(frozen=True)
class Participant:
    """A client's part in a round.

    Attributes:
        round: The round, from 1.
        client: The client's id.
        outcome: `reported`, `dropped` (lost after it got the model), `cut` (too slow) or `left_out` (without
            a batch, or with an update that is not finite).
        examples: Examples that it would train on, or did.
        seconds: Simulated time from the round's begin until its report was there, or would have been.
    """

    round: int
    client: str
    outcome: str
    examples: int
    seconds: float


class ParticipantsWriter:
    """Appends the participants of a round, which are on the disk when `append` returns.

    Args:
        path: The file. Its folder must exist.
        resumed_after: What is there of later rounds is dropped; -1 drops all.

    Raises:
        RunDirectoryError: The file cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path, resumed_after: int) -> None:
        if path.exists():
            kept = [participant for participant in read_participants(path) if participant.round <= resumed_after]
            write_participants(path, kept)
        self._file = AppendedFile(path, len)

    def append(self, participants: Iterable[Participant]) -> None:
        """Writes the participants of a round.

        Raises:
            RunDirectoryError: They cannot be written; the file is then as it was before.
        """
        self._file.append(_lines(participants, header=not self._file.size))

    def close(self) -> None:
        """Closes the file; there is nothing left to write."""
        self._file.close()


def write_participants(path: Path, participants: Iterable[Participant]) -> None:
    """Writes all participants anew, whole or not at all.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    write_bytes(path, _lines(participants, header=True))


def lacks_participants(path: Path, rows: Iterable[Row]) -> bool:
    """Tells whether participants.csv lacks some that the rows of metrics.csv count.

    Args:
        path: The file, which need not exist.
        rows: With the columns `clients/OUTCOME`.

    Raises:
        RunDirectoryError: The file cannot be read, or is damaged elsewhere than at its end.
    """
    found = Counter((it.round, it.outcome) for it in (read_participants(path) if path.exists() else ()))
    return any(
        found[int(row["round"] or 0), name.removeprefix(_COUNTS)] != value
        for row in rows
        for name, value in row.items()
        if name.removeprefix(_COUNTS) in _OUTCOMES and name.startswith(_COUNTS) and value is not None
    )


def read_participants(path: Path) -> list[Participant]:
    """Reads participants.csv, also while a run writes it: a half-written end is passed over.

    Raises:
        RunDirectoryError: The file cannot be read, or is damaged elsewhere than at its end.
    """
    with storage_errors(path, "read"):
        data = read_bounded(path, MOST_METRICS)
    # Only a line that ends is whole. (That does not make a row whole: an id may have a line end in it.)
    lines = csv.reader(io.StringIO(data[: data.rfind(b"\n") + 1].decode(errors="replace"), newline=""), strict=True)
    return list(_parsed(path, lines))


def _parsed(path: Path, lines: Iterator[list[str]]) -> Iterator[Participant]:
    problem = ""
    try:
        header = next(lines, None)
        if header is not None and tuple(header) != _COLUMNS:
            raise damaged(path, "line 1 is not a header of participants.csv")
        for number, cells in enumerate(lines, 2):
            if problem:
                raise damaged(path, problem)
            try:
                round, client, outcome, examples, seconds = cells
                yield Participant(int(round), client, outcome, int(examples), float(seconds))
            except ValueError as error:
                problem = f"row {number}: {error}"  # forgiven if nothing follows
    except csv.Error as error:
        if "unexpected end" not in str(error):  # that is a half-written row
            raise damaged(path, str(error)) from error


def _lines(participants: Iterable[Participant], *, header: bool) -> bytes:
    buffer = io.StringIO()
    if header:
        csv.writer(buffer, lineterminator="\n").writerow(_COLUMNS)
    # Texts in quotes: left to itself, the writer would not quote an id with a carriage return.
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows(map(astuple, participants))
    return buffer.getvalue().encode()
