import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.digits_file import SIZES, WRITERS, write
from fedcli.datasets.sqlite import ClientDatabase

_SPLITS = ("digits_only_train", "digits_only_test")


def test_the_real_size_is_that_of_the_published_file() -> None:
    assert (WRITERS, SIZES[_SPLITS[0]]) == (3383, 341_873)


def test_a_file_of_any_size(tmp_path: Path) -> None:
    source = tmp_path / "source.sqlite"
    with closing(sqlite3.connect(source)) as db:
        db.execute("CREATE TABLE examples (split_name TEXT, client_id TEXT, serialized_example_proto BLOB)")
        rows = [(split, "w", f"{split}{i}".encode()) for split in _SPLITS for i in range(3)]
        db.executemany("INSERT INTO examples VALUES (?, ?, ?)", rows)
        db.commit()
    target = tmp_path / "target.sqlite"
    write(source, target, writers=4, sizes=dict(zip(_SPLITS, (10, 5), strict=True)))

    database = ClientDatabase(target)
    for split, size in zip(_SPLITS, (10, 5), strict=True):
        clients = database.client_ids(split)
        assert len(clients) == 4
        sizes = database.sizes(split, clients)
        assert sizes.sum() == size
        assert sizes.max() - sizes.min() <= 1
        for client, count in zip(clients, sizes, strict=True):
            read = database.read_client(split, client)
            assert len(read) == count
            assert all(example.startswith(split.encode()) for example in read)
    database.close()
