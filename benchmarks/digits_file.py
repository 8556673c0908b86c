"""Puts a file of EMNIST's real size into fedcli's cache: `python -m benchmarks.digits_file`.

3,383 writers and 341,873 digits, as many as the published file has of the split `digits_only_train`, and 40,832 in
`digits_only_test`. The digits themselves are drawn from the copy that is there, again and again: it is for time and
memory, not for accuracy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np

from fedcli.datasets.cache import install, is_cached
from fedcli.datasets.emnist import DATABASE

#: Where the file seems to come from: `dataset.origin`.
ORIGIN = "file:///benchmarks/real-size"

WRITERS = 3383
SIZES = {"digits_only_train": 341_873, "digits_only_test": 40_832}
_SCHEMA = """
CREATE TABLE examples (split_name TEXT NOT NULL, client_id TEXT NOT NULL, serialized_example_proto BLOB NOT NULL);
CREATE TABLE client_metadata (client_id TEXT NOT NULL, split_name TEXT NOT NULL, num_examples INTEGER NOT NULL);
"""


def main() -> None:
    """Makes the file unless it is there."""
    target = DATABASE.cached_path(ORIGIN)
    if not is_cached(target):
        source = DATABASE.fetch()
        install(target, "benchmarks.digits_file", lambda path: write(source, path))


def write(source: Path, target: Path, writers: int = WRITERS, sizes: dict[str, int] = SIZES) -> None:
    """Writes a database of so many digits, as even between the writers as it goes.

    Args:
        source: A database in the same form, from which digits are taken.
        target: What to write.
        writers: Number of writers.
        sizes: Digits of each split.
    """
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reader, closing(sqlite3.connect(target)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.executescript(_SCHEMA)
        for split, size in sizes.items():
            db.executemany("INSERT INTO examples VALUES (?, ?, ?)", _examples(reader, split, size, writers))
            counts = [(f"writer_{i:04d}", split, end - start) for i, (start, end) in enumerate(_spans(size, writers))]
            db.executemany("INSERT INTO client_metadata VALUES (?, ?, ?)", counts)
        db.commit()
    DATABASE.check(target, published=False)


def _spans(size: int, writers: int) -> Iterator[tuple[int, int]]:
    bounds = np.linspace(0, size, writers + 1).astype(int).tolist()
    yield from pairwise(bounds)


def _examples(reader: sqlite3.Connection, split: str, size: int, writers: int) -> Iterator[tuple[str, str, bytes]]:
    query = "SELECT serialized_example_proto FROM examples WHERE split_name = ? LIMIT ?"
    digits = cycle([row[0] for row in reader.execute(query, (split, 20_000))])
    for writer, (start, end) in enumerate(_spans(size, writers)):
        for digit in islice(digits, end - start):
            yield split, f"writer_{writer:04d}", digit


if __name__ == "__main__":
    main()
