"""Imports a source: reads it once to learn its clients and classes, and once to write the database.

Neither pass holds more than a row, and a few numbers for each client and class.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from fedcli.datasets.cache import install
from fedcli.datasets.importing.features import INPUT_FEATURES
from fedcli.datasets.importing.row_numbers import RowNumbers
from fedcli.datasets.importing.rows import BadRow, Row, Source
from fedcli.datasets.importing.split import Fraction, Splitter
from fedcli.datasets.importing.store import ABOUT_TABLE, BAD_ROWS_TABLE, About, read_about
from fedcli.datasets.sqlite import TEST, TRAIN, add_index
from fedcli.datasets.tf_example import serialize_example
from fedcli.errors import DataError, FedcliError, UsageError
from fedcli.text.vocabulary import unknown_bytes

_log = logging.getLogger(__name__)

#: Bad rows that an error names.
SHOWN_BAD_ROWS = 5
#: More classes than this are none, but numbers that were measured.
_MOST_CLASSES = 10_000
#: Rows written at once.
_BATCH = 256


@dataclass(frozen=True)
class Request:
    """What to make of a source.

    Attributes:
        name: What the data set will be called.
        path: The source's path, for people.
        fraction: How to split, where the source does not say it.
        skip_bad_rows: Whether bad rows are left out; otherwise there are to be none.
        replace: Whether an imported data set that has the name already is replaced.
    """

    name: str
    path: str
    fraction: Fraction
    skip_bad_rows: bool = False
    replace: bool = False


@dataclass
class _Bad:
    """The bad rows of one pass."""

    count: int = 0
    first: list[BadRow] = field(default_factory=list)

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.first) < SHOWN_BAD_ROWS:
            self.first.append(row)


@dataclass
class _Survey:
    """What the first pass learns.

    Attributes:
        clients: Rows of each client.
        splits: Rows of each split, where the source says which is whose.
        labels: Rows of each class.
        numbering: Inputs of a table that number its rows.
        bad: Rows that cannot be used.
    """

    clients: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    numbering: list[str] = field(default_factory=list)
    bad: _Bad = field(default_factory=_Bad)


def import_source(source: Source, request: Request, file: Path) -> About:
    """Makes a database of a source and puts it into the cache, whole or not at all.

    Args:
        source: What to import.
        request: How.
        file: Where in the cache.

    Returns:
        What was made, which the database says too.

    Raises:
        UsageError: The source is not such that a federated data set can be made of it, or the name is taken.
        DataError: It has bad rows, or the cache cannot be written.
    """
    refuse_taken(request, file)
    _log.info("reading %s", request.path)
    survey = _survey(source, request)
    _check(source, survey, request)
    made: list[About] = []
    _log.info("writing %s", file)

    def write(new: Path) -> None:
        # Again, now that no other process writes the file: one may have finished since.
        refuse_taken(request, file)
        made.append(_write(source, survey, request, new))

    install(file, request.path, write)
    return made[0]


def refuse_taken(request: Request, file: Path) -> None:
    """Refuses a name that an imported data set has already, unless it is to be replaced.

    Args:
        request: What to import.
        file: Where in the cache it would be.

    Raises:
        UsageError: The name is taken.
    """
    if request.replace or not file.exists():
        return
    try:
        by = f", by {read_about(request.name, file.parent.parent).source}"
    except FedcliError:
        by = ""  # damaged, which is no reason to write over it unasked
    raise UsageError(f"{request.name}: that name is taken{by}", "choose another name, or replace it with --replace")


def _survey(source: Source, request: Request) -> _Survey:
    found = _Survey()
    numbering = RowNumbers(source.columns)
    for row in source.rows(contents=False):
        if isinstance(row, BadRow):
            found.bad.add(row)
            continue
        found.clients[row.client] += 1
        if row.split is not None:
            found.splits[row.split] += 1
        if row.label is not None:
            found.labels[row.label] += 1
            if len(found.labels) > _MOST_CLASSES:
                raise UsageError(
                    f"{request.path}: more than {_MOST_CLASSES:,} different labels, such as {row.label}",
                    "labels are classes: name another column, or put what was measured into classes first",
                )
        if isinstance(row.content, np.ndarray) and source.columns:
            numbering.add(row.content)
    found.numbering = numbering.found()
    return found


def _check(source: Source, survey: _Survey, request: Request) -> None:
    """Refuses what makes no federated data set."""
    path = request.path
    if not request.skip_bad_rows:
        _refuse_bad_rows(survey.bad, sum(survey.clients.values()), source, request)
    if not survey.clients:
        bad = f"; all {survey.bad.count:,} {source.unit} are bad, {_listed(survey.bad)}" if survey.bad.count else ""
        raise UsageError(f"{path}: no {source.unit} to import{bad}", "nothing was written")
    if source.client_from is not None and len(survey.clients) == 1:
        raise UsageError(
            f"{path}: {source.client_from} names one client only, {next(iter(survey.clients))}",
            "name the clients otherwise, or leave --client out of a table: partition=iid and others then deal its rows",
        )
    if len(survey.labels) == 1:
        raise UsageError(
            f"{path}: there is one label only, {next(iter(survey.labels))}",
            "there is nothing to tell apart: see --label",
        )
    if source.split_from is not None:
        for split in (TRAIN, TEST):
            if not survey.splits[split]:
                raise UsageError(
                    f"{path}: {source.split_from} says {split} nowhere: that split would be empty",
                    "leave the split out of --split or --layout, for --test-fraction to make one",
                )
    elif not any(map(request.fraction.count, survey.clients.values())):
        raise UsageError(
            f"{path}: with --test-fraction {request.fraction.test:g} the test split would be empty: no client has "
            f"more than {max(survey.clients.values()):,} {source.unit}",
            "give a larger one, or name the split in the data",
        )


def _refuse_bad_rows(bad: _Bad, good: int, source: Source, request: Request) -> None:
    if bad.count:
        raise DataError(
            f"{request.path}: {bad.count:,} of {good + bad.count:,} {source.unit} "
            f"{'is' if bad.count == 1 else 'are'} bad: {_listed(bad)}",
            "fix them, or leave them out with --bad-rows skip, which reports each; nothing was written",
        )


def _listed(bad: _Bad) -> str:
    more = f"; and {bad.count - len(bad.first):,} more" if bad.count > len(bad.first) else ""
    return "; ".join(f"{row.place}: {row.reason}" for row in bad.first) + more


def class_order(labels: Counter[str]) -> list[str]:
    """Puts the names of classes in order: the position of each is its label.

    By their number if all are whole numbers, otherwise by their text (Unicode's order). Labels 0 to n - 1 stay what
    they are.
    """
    try:
        return sorted(labels, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(labels)


def _write(source: Source, survey: _Survey, request: Request, file: Path) -> About:
    """Writes the database, not yet under its name."""
    classes = class_order(survey.labels)
    counts: Counter[tuple[str, str]] = Counter()
    bad = _Bad()
    unknown = 0
    # Whoever interrupts this finds no file: it needs no journal.
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE examples (split_name TEXT NOT NULL, client_id TEXT NOT NULL, "
            "serialized_example_proto BLOB NOT NULL);"
            "CREATE TABLE client_metadata (client_id TEXT NOT NULL, split_name TEXT NOT NULL, "
            "num_examples INTEGER NOT NULL);"
            f"{ABOUT_TABLE}; {BAD_ROWS_TABLE}; BEGIN;"
        )

        def keep(row: BadRow) -> None:
            bad.add(row)
            connection.execute("INSERT INTO fedcli_bad_rows VALUES (?, ?)", (row.place, row.reason))

        examples = _examples(source, survey, request, {name: label for label, name in enumerate(classes)}, keep)
        while batch := list(islice(examples, _BATCH)):
            connection.executemany("INSERT INTO examples VALUES (?, ?, ?)", [example[:3] for example in batch])
            for split, client, _, strange in batch:
                counts[split, client] += 1
                unknown += strange
        if not request.skip_bad_rows:
            _refuse_bad_rows(bad, sum(counts.values()), source, request)
        # Every row of the first pass is written, or among the bad ones.
        if sum(counts.values()) + bad.count != sum(survey.clients.values()) + survey.bad.count:
            raise _changed(request)
        connection.executemany(
            "INSERT INTO client_metadata VALUES (?, ?, ?)",
            ((client, split, count) for (split, client), count in sorted(counts.items())),
        )
        about = About(
            name=request.name,
            kind=source.kind,
            x_shape=list(source.x_shape),
            columns=source.columns,
            classes=classes,
            train_clients=sum(split == TRAIN for split, _ in counts),
            test_clients=sum(split == TEST for split, _ in counts),
            train_examples=sum(count for (split, _), count in counts.items() if split == TRAIN),
            test_examples=sum(count for (split, _), count in counts.items() if split == TEST),
            bad_rows=bad.count,
            unknown_characters=unknown,
            source=request.path,
            split=source.split_from or str(request.fraction),
            imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            notes=[*source.notes, *_numbering_note(survey.numbering)],
        )
        if not about.train_examples or not about.test_examples:
            raise DataError(
                f"{request.path}: without the {bad.count:,} bad {source.unit} a split is empty: {_listed(bad)}",
                "fix them; nothing was written",
            )
        connection.execute("INSERT INTO fedcli_import VALUES (?)", (about.to_json(),))
        connection.execute("COMMIT")
        add_index(connection)
    return about


def _numbering_note(columns: list[str]) -> list[str]:
    if not columns:
        return []
    which = "an input that numbers" if len(columns) == 1 else "inputs that number"
    return [f"{which} the rows: {', '.join(columns)}; if that tells the order alone, leave it out of --features"]


def _examples(
    source: Source, survey: _Survey, request: Request, labels: dict[str, int], keep: Callable[[BadRow], None]
) -> Iterator[tuple[str, str, bytes, int]]:
    """Yields split, client, serialized example and number of unknown characters of each good row."""
    splitter = Splitter(request.fraction, survey.clients)
    feature = INPUT_FEATURES[source.kind]
    for row in source.rows(contents=True):
        if isinstance(row, BadRow):
            keep(row)
            continue
        if row.client not in survey.clients or (row.label is not None and row.label not in labels):
            raise _changed(request)
        yield _example(row, feature, labels, splitter)


def _changed(request: Request) -> DataError:
    return DataError(f"{request.path} changed while it was read", "import it again; nothing was written")


def _example(row: Row, feature: str, labels: dict[str, int], splitter: Splitter) -> tuple[str, str, bytes, int]:
    split = row.split or splitter.split_of(row.client)
    assert row.content is not None
    if isinstance(row.content, bytes):
        return split, row.client, serialize_example({feature: row.content}), len(unknown_bytes(row.content))
    assert row.label is not None
    inputs = np.ascontiguousarray(row.content, np.float32)
    return split, row.client, serialize_example({feature: inputs, "label": labels[row.label]}), 0
