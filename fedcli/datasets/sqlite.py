"""TFF's SQLite form of federated data: unpacked and checked once, then read client by client.

A file holds a table `examples` of (split_name, client_id, serialized_example_proto) and a table
`client_metadata` of (client_id, split_name, num_examples), and is published as a legacy `.lzma` archive.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets import cache
from fedcli.datasets.cache import cached_path, fetch
from fedcli.datasets.client_ids import ClientIds
from fedcli.datasets.lzma_archive import unpack_lzma
from fedcli.datasets.origin import PUBLISHED_ORIGIN, resolve_origin
from fedcli.errors import DataError

#: What most files call their splits.
TRAIN, TEST = "train", "test"

_COLUMNS = {
    "examples": {"split_name", "client_id", "serialized_example_proto"},
    "client_metadata": {"client_id", "split_name", "num_examples"},
}


@dataclass(frozen=True)
class DatabaseSource:
    """A published database and what is documented of it.

    Attributes:
        name: What fedcli calls the data set.
        path: Path of the archive at the origin.
        splits: Splits that every copy has, a mirror's too.
        documented_clients: Clients of each split of the published file.
    """

    name: str
    path: str
    splits: tuple[str, ...]
    documented_clients: Mapping[str, int] = field(default_factory=dict)

    def fetch(self, origin: str | None = None, cache_dir: str | None = None) -> Path:
        """Returns the checked database in the cache, fetching it first where needed; see `cache.fetch`."""
        published = resolve_origin(origin) == PUBLISHED_ORIGIN
        return fetch(
            self.path,
            origin,
            cache_dir,
            name=self.name,
            unpack=unpack_lzma,
            verify=lambda file: self.check(file, published=published),
        )

    def fingerprint(self, origin: str | None = None, cache_dir: str | None = None) -> str | None:
        """Returns the hash of what the cached database holds; None if the database is not in the cache."""
        file = self.cached_path(origin, cache_dir)
        return cache.content_hash(file, content_hash) if cache.is_cached(file) else None

    def cached_path(self, origin: str | None = None, cache_dir: str | None = None) -> Path:
        """Returns where `fetch` keeps the database, whether it is there or not."""
        return cached_path(self.path, origin, cache_dir)

    def check(self, file: Path, *, published: bool) -> None:
        """Refuses a file that is not this database, and adds the index that makes reading a client fast.

        Args:
            file: The unpacked file, not in use by anybody else.
            published: Whether the documented numbers of clients must be met; a mirror may have fewer.

        Raises:
            DataError: It is damaged or another file; the message says what was found.
            OSError: The disk is full.
        """
        expected = self.documented_clients if published else {}
        try:
            with closing(sqlite3.connect(file)) as connection:
                _check_integrity(connection)
                _check_columns(connection)
                add_index(connection)
                _check_clients(connection, sorted({*self.splits, *expected}), expected)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
            raise DataError(f"not a sound SQLite database ({error})") from error


def _check_integrity(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DataError(f"the SQLite database is damaged ({' '.join(found.split())})")


def _check_columns(connection: sqlite3.Connection) -> None:
    for table, columns in _COLUMNS.items():
        found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if not found:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            raise DataError(f"there is no table {table}, only: {', '.join(sorted(tables)) or 'none'}")
        if missing := columns - found:
            raise DataError(f"table {table} has no column {', '.join(sorted(missing))}")


def add_index(connection: sqlite3.Connection) -> None:
    """Adds the index that makes reading a client fast, unless there is such a one."""
    for (name,) in connection.execute("SELECT name FROM pragma_index_list('examples')").fetchall():
        columns = [row[0] for row in connection.execute("SELECT name FROM pragma_index_info(?)", (name,))]
        if columns[:2] == ["split_name", "client_id"]:
            return
    # The file is thrown away should this be interrupted, so it needs no journal. A write-ahead log could not
    # be read later from a folder that is read-only.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("CREATE INDEX fedcli_examples ON examples (split_name, client_id)")
    connection.commit()


def _check_clients(connection: sqlite3.Connection, splits: Sequence[str], expected: Mapping[str, int]) -> None:
    """Compares the clients listed in `client_metadata` with those that have examples."""
    # EXCEPT both ways: the same number of clients need not be the same clients.
    listed = "SELECT split_name, client_id FROM client_metadata"
    present = "SELECT DISTINCT split_name, client_id FROM examples"
    counts = dict(connection.execute(f"SELECT split_name, COUNT(*) FROM ({present}) GROUP BY split_name").fetchall())
    for split in splits:
        if not counts.get(split):
            raise DataError(f"split {split} has no examples; there are: {', '.join(sorted(counts)) or 'none'}")
    for these, those, problem in (
        (listed, present, "is listed but has no examples"),
        (present, listed, "has examples but is not listed"),
    ):
        row = connection.execute(f"SELECT * FROM ({these} EXCEPT {those}) LIMIT 1").fetchone()
        if row:
            raise DataError(f"client {row[1]} of split {row[0]} {problem}")
    for split, number in expected.items():
        if counts[split] != number:
            raise DataError(f"split {split} has {counts[split]} clients, documented are {number}")


def content_hash(file: Path, *more: str) -> str:
    """Hashes what a database holds: each example with its split and client, in the order in which they are stored.

    Two files with the same examples have the same hash, whatever mirror they come from and which SQLite wrote them.

    Args:
        file: The checked database.
        more: What else tells the examples' meaning, such as the names of the classes.

    Returns:
        SHA-256, hexadecimal.

    Raises:
        DataError: The file cannot be read.
    """
    digest = hashlib.sha256()
    for text in more:
        _add(digest, text.encode())
    with closing(ClientDatabase(file)) as database:
        for row in database._stream("SELECT split_name, client_id, serialized_example_proto FROM examples"):
            for value in row:
                _add(digest, value if isinstance(value, bytes) else str(value).encode())
    return digest.hexdigest()


def _add(digest: hashlib._Hash, value: bytes) -> None:
    """Adds a value with its length, so that no two lists of values give the same bytes."""
    digest.update(len(value).to_bytes(8, "little"))
    digest.update(value)


class _Connection(sqlite3.Connection):
    """A connection that, unlike its base class, can be referred to weakly."""


class ClientDatabase:
    """Reads a checked database. Safe to use from several threads: each has its own read-only connection.

    Args:
        path: File that `DatabaseSource.fetch` returned.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        # Weak, so that a thread that ends takes its connection with it.
        self._connections: WeakSet[_Connection] = WeakSet()

    def _query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        return list(self._stream(sql, parameters))

    def _stream(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Any]:
        """Reads rows as they are asked for, which can be more than the memory holds."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        # A connection must not be used on the other side of a fork.
        if connection is None or self._local.pid != os.getpid():
            # immutable: no lock files, so that a read-only cache folder is enough.
            uri = f"file:{quote(str(self.path))}?mode=ro&immutable=1"
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, factory=_Connection)
            self._local.connection, self._local.pid = connection, os.getpid()
            self._connections.add(connection)
        try:
            yield from connection.execute(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path} cannot be read: {error}",
                "remove that file: it is fetched again at the next use",
            ) from error

    def splits(self) -> dict[str, int]:
        """Returns the number of clients of each split."""
        sql = "SELECT split_name, COUNT(DISTINCT client_id) FROM client_metadata GROUP BY split_name"
        return dict(self._query(sql))

    def client_ids(self, split: str) -> ClientIds:
        """Returns the ids of a split's clients, sorted."""
        # SQLite sorts by the bytes of UTF-8, which is how Python sorts texts.
        sql = "SELECT DISTINCT client_id FROM client_metadata WHERE split_name = ? ORDER BY client_id"
        return ClientIds(client for (client,) in self._stream(sql, (split,)))

    def sizes(self, split: str, clients: Iterable[str]) -> NDArray[np.int64]:
        """Returns the number of examples of each of some clients of a split. Reads the index only.

        Args:
            split: The split.
            clients: Their ids, sorted.
        """
        sql = "SELECT client_id, COUNT(*) FROM examples WHERE split_name = ? GROUP BY client_id ORDER BY client_id"
        found = self._stream(sql, (split,))

        def sizes() -> Iterator[int]:
            client, size = next(found, (None, 0))
            for wanted in clients:
                while client is not None and client < wanted:
                    client, size = next(found, (None, 0))
                yield size if client == wanted else 0

        return np.fromiter(sizes(), np.int64)

    def size(self, split: str, client_id: str) -> int:
        """Returns the number of examples of one client of a split. Reads the index only."""
        sql = "SELECT COUNT(*) FROM examples WHERE split_name = ? AND client_id = ?"
        return int(self._query(sql, (split, client_id))[0][0])

    def read_client(self, split: str, client_id: str) -> list[bytes]:
        """Reads one client's serialized examples, in the order in which they are stored."""
        sql = "SELECT serialized_example_proto FROM examples WHERE split_name = ? AND client_id = ? ORDER BY rowid"
        return [row[0] for row in self._query(sql, (split, client_id))]

    def read_split(self, split: str) -> list[tuple[str, bytes]]:
        """Reads (client id, serialized example) of a whole split at once: only for one known to be small.

        Clients come in the order of their ids, each client's examples in the order in which they are stored.
        """
        return self._query(
            "SELECT client_id, serialized_example_proto FROM examples WHERE split_name = ? ORDER BY client_id, rowid",
            (split,),
        )

    def rows(self, split: str, clients: Iterable[str] | None = None) -> NDArray[np.int64]:
        """Returns the row numbers of the examples of a split, by client. Reads the index only.

        Args:
            split: The split.
            clients: The only clients whose examples count; None for all.
        """
        sql = "SELECT client_id, rowid FROM examples WHERE split_name = ? ORDER BY client_id, rowid"
        found = self._stream(sql, (split,))
        wanted = None if clients is None else set(clients)
        return np.fromiter((row for client, row in found if wanted is None or client in wanted), np.int64)

    def read_rows(self, rows: Iterable[int]) -> Iterator[bytes]:
        """Reads the serialized examples of the given rows, in the order given."""
        for row in rows:
            sql = "SELECT serialized_example_proto FROM examples WHERE rowid = ?"
            yield self._query(sql, (int(row),))[0][0]

    def close(self) -> None:
        """Closes the connections of all threads; reading again opens new ones."""
        for connection in list(self._connections):
            connection.close()
        self._connections = WeakSet()
        self._local = threading.local()
