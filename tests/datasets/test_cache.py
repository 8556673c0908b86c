import errno
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from fedcli.datasets.cache import cached_path, fetch, is_cached
from fedcli.datasets.origin import PUBLISHED_ORIGIN
from fedcli.datasets.sqlite import ClientDatabase, DatabaseSource
from fedcli.errors import DataError, DownloadError
from tests.datasets.origin_server import packed, serve, write_database

SOURCE = DatabaseSource("tiny", "bucket/tiny.sqlite.lzma", ("train", "test"), {"train": 4, "test": 4})


@pytest.fixture
def archive(tmp_path):
    return packed(write_database(tmp_path / "source.sqlite"))


@pytest.fixture
def origin(archive, cache):
    with serve(archive) as server:
        yield server


def clients(file):
    database = ClientDatabase(file)
    try:
        return database.client_ids("train")
    finally:
        database.close()


def names(file):
    return sorted(path.name for path in file.parent.iterdir() if path.suffix != ".lock")


def test_unpacked_indexed_and_archive_removed(origin):
    file = SOURCE.fetch(origin.url)
    assert clients(file) == ["c0", "c1", "c2"]
    assert names(file) == ["tiny.sqlite", "tiny.sqlite.json"]
    assert is_cached(file)
    assert file == SOURCE.cached_path(origin.url)
    (plan,) = ClientDatabase(file)._query(
        "EXPLAIN QUERY PLAN SELECT * FROM examples WHERE split_name = 'train' AND client_id = 'c1'"
    )
    assert "USING INDEX" in plan[3]


def test_fetched_once(origin):
    SOURCE.fetch(origin.url)
    SOURCE.fetch(origin.url + "/")
    assert len(origin.requests) == 1


def test_origins_do_not_mix(origin, tmp_path, cache):
    with serve(packed(write_database(tmp_path / "other.sqlite", clients=5))) as other:
        assert len(clients(SOURCE.fetch(origin.url))) == 3
        assert len(clients(SOURCE.fetch(other.url))) == 5
    folders = sorted(path.name for path in cache.iterdir())
    assert len(folders) == 2
    assert all(name.startswith("127.0.0.1-") for name in folders)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[: len(content) // 2], "bytes instead of"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "has changed"),
        (lambda content: b"", "bytes instead of"),
    ],
)
def test_damaged_cached_file_is_fetched_anew(origin, caplog, damage, said):
    file = SOURCE.fetch(origin.url)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    os.utime(file, ns=(1, 1))
    assert SOURCE.fetch(origin.url) == file
    assert file.read_bytes() == whole
    assert len(origin.requests) == 2
    assert said in caplog.text


def test_touched_file_is_kept_and_hashed_once(origin):
    file = SOURCE.fetch(origin.url)
    os.utime(file, ns=(1, 1))
    assert not is_cached(file)
    SOURCE.fetch(origin.url)
    assert is_cached(file)
    assert len(origin.requests) == 1


@pytest.mark.parametrize("record", [None, "", "[]", '{"size": 1}'])
def test_file_without_its_record_is_not_used(origin, record):
    file = SOURCE.fetch(origin.url)
    sidecar = file.with_name(file.name + ".json")
    sidecar.unlink() if record is None else sidecar.write_text(record)
    SOURCE.fetch(origin.url)
    assert len(origin.requests) == 2


def test_archive_left_by_a_killed_process_is_used(origin, archive):
    file = SOURCE.cached_path(origin.url)
    file.parent.mkdir(parents=True)
    file.with_name("tiny.sqlite.lzma").write_bytes(archive)
    file.with_name("tiny.sqlite.new").write_bytes(b"half unpacked")
    assert len(clients(SOURCE.fetch(origin.url))) == 3
    assert origin.requests == []


def broken_database(tmp_path, statement):
    import sqlite3

    path = write_database(tmp_path / "broken.sqlite")
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    return packed(path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda tmp, good: b"<html>log in here</html>", "LZMA"),
        (lambda tmp, good: b"", "ends too early"),
        (lambda tmp, good: good[:-40], "ends too early"),
        (lambda tmp, good: broken_database(tmp, "DROP TABLE client_metadata"), "no table client_metadata"),
        (
            lambda tmp, good: broken_database(tmp, "ALTER TABLE examples RENAME split_name TO s"),
            "no column split_name",
        ),
        (
            lambda tmp, good: broken_database(tmp, "DELETE FROM examples WHERE split_name = 'test'"),
            "split test",
        ),
        (
            lambda tmp, good: broken_database(tmp, "DELETE FROM examples WHERE client_id = 'c1'"),
            "client c1 of split test is listed but has no examples",
        ),
        (
            lambda tmp, good: broken_database(tmp, "DELETE FROM client_metadata WHERE client_id = 'c1'"),
            "client c1 of split test has examples but is not listed",
        ),
    ],
)
def test_damaged_download_is_tried_again_once_and_refused(origin, archive, tmp_path, body, said):
    origin.body = body(tmp_path, archive)
    with pytest.raises(DataError, match=said) as caught:
        SOURCE.fetch(origin.url)
    assert not isinstance(caught.value, DownloadError)
    assert f"{origin.url}/{SOURCE.path}" in caught.value.message
    assert "dataset.origin" in caught.value.hint
    assert len(origin.requests) == 2
    assert names(SOURCE.cached_path(origin.url)) == []


def test_damaged_pages_are_refused(tmp_path, origin):
    path = write_database(tmp_path / "pages.sqlite", clients=40, blob=lambda i: bytes(400))
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes([255]) * 4096
    path.write_bytes(content)
    origin.body = packed(path)
    with pytest.raises(DataError, match="SQLite database"):
        SOURCE.fetch(origin.url)


def test_no_sqlite_is_refused(tmp_path, origin):
    (tmp_path / "text").write_bytes(b"no database at all" * 100)
    origin.body = packed(tmp_path / "text")
    with pytest.raises(DataError, match="not a database"):
        SOURCE.fetch(origin.url)


def test_second_try_may_be_good(origin, archive, caplog):
    def heal():
        if len(origin.requests) == 2:
            origin.body = archive

    origin.body, origin.before_answer = archive[:-40], heal
    assert len(clients(SOURCE.fetch(origin.url))) == 3
    assert "fetching it again" in caplog.text


def test_documented_clients_are_required_of_the_published_file_only(tmp_path):
    path = write_database(tmp_path / "x.sqlite")
    SOURCE.check(path, published=False)
    with pytest.raises(DataError, match="3 clients, documented are 4"):
        SOURCE.check(path, published=True)
    assert SOURCE.cached_path(PUBLISHED_ORIGIN, tmp_path).parents[1].name.startswith("storage.googleapis.com-")


def test_existing_index_is_kept(tmp_path):
    path = write_database(tmp_path / "x.sqlite", index=True)
    before = path.read_bytes()
    SOURCE.check(path, published=False)
    assert path.read_bytes() == before


def test_missing_file_of_a_folder(tmp_path, cache):
    with pytest.raises(DownloadError) as caught:
        SOURCE.fetch(tmp_path.as_uri())
    error = caught.value
    assert f"{tmp_path.as_uri()}/{SOURCE.path}" in error.message
    for part in (str(cache), "dataset.origin", "fedcli data fetch tiny"):
        assert part in error.hint
    assert "\n" not in error.message + error.hint


def test_plain_file_is_verified_and_kept_under_its_name(origin):
    origin.body = b"a model"
    seen = []
    file = fetch("models/m.kerasmodel", origin.url, verify=lambda new: seen.append(new.read_bytes()))
    assert file == cached_path("models/m.kerasmodel", origin.url)
    assert file.read_bytes() == b"a model"
    assert seen == [b"a model"]
    assert names(file) == ["m.kerasmodel", "m.kerasmodel.json"]


def test_plain_file_that_is_refused_is_not_kept(origin):
    def refuse(new):
        raise DataError("no model")

    with pytest.raises(DataError, match="no model"):
        fetch("models/m.kerasmodel", origin.url, verify=refuse)
    assert names(cached_path("models/m.kerasmodel", origin.url)) == []


@pytest.mark.parametrize("when", ["download", "unpack"])
def test_full_disk(origin, cache, monkeypatch, when):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        if when == "download":
            patched.setattr("fedcli.datasets.download._flush", full)
        else:
            patched.setattr("fedcli.datasets.sqlite.add_index", full)
        with pytest.raises(DataError, match="no space left in") as caught:
            SOURCE.fetch(origin.url)
    assert str(cache) in caught.value.message
    assert "dataset.cache_dir" in caught.value.hint
    assert "FEDCLI_CACHE" in caught.value.hint
    file = SOURCE.cached_path(origin.url)
    assert "tiny.sqlite" not in names(file)
    assert "tiny.sqlite.new" not in names(file)
    assert len(clients(SOURCE.fetch(origin.url))) == 3


def test_cache_that_is_no_folder(origin, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot use the cache folder"):
        SOURCE.fetch(origin.url, str(tmp_path / "file"))


FETCH = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from fedcli.datasets.sqlite import DatabaseSource
print(DatabaseSource("tiny", "bucket/tiny.sqlite.lzma", ("train", "test")).fetch(sys.argv[1]))
"""


def test_two_processes_fetch_once(origin):
    processes = []
    waiting = threading.Event()

    def start():
        command = [sys.executable, "-c", FETCH, origin.url]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def hold_until_the_other_waits():
        # The first process is in its request and holds the lock: only now the second one starts.
        start()
        for line in processes[1].stderr:
            if "waiting for it" in line:
                break
        waiting.set()

    origin.before_answer = hold_until_the_other_waits
    start()
    assert waiting.wait(60)
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(origin.requests) == 1


def test_plain_log_lines_without_a_terminal(origin, caplog, capsys):
    caplog.set_level(logging.INFO)
    SOURCE.fetch(origin.url)
    lines = [record.getMessage() for record in caplog.records if record.name == "fedcli.datasets.progress"]
    assert [line.split(" ")[0] for line in lines] == ["fetching"] * 2 + ["unpacking"] * 2
    assert capsys.readouterr().out == ""


def test_leftovers_beside_a_whole_file_are_removed(origin, archive):
    """As left by a process that was killed when the file had its name, and its archive was still there."""
    file = SOURCE.fetch(origin.url)
    for name in ("tiny.sqlite.lzma", "tiny.sqlite.lzma.part", "tiny.sqlite.lzma.part.json", "tiny.sqlite.new"):
        file.with_name(name).write_bytes(b"left")
    assert SOURCE.fetch(origin.url) == file
    assert names(file) == ["tiny.sqlite", "tiny.sqlite.json"]
    assert len(origin.requests) == 1


def test_the_fingerprint_is_that_of_the_examples(tmp_path, cache, monkeypatch):
    """Not of the file: another mirror, SQLite or index gives the same."""
    plain, other = write_database(tmp_path / "plain.sqlite"), write_database(tmp_path / "other.sqlite", clients=5)
    indexed = tmp_path / "indexed.sqlite"
    indexed.write_bytes(plain.read_bytes())
    with closing(sqlite3.connect(indexed)) as connection:
        connection.execute("CREATE INDEX mine ON examples (split_name, client_id)")
        connection.execute("CREATE TABLE more (x)")
        connection.commit()
    found = {}
    for source in (plain, indexed, other):
        with serve(packed(source)) as server:
            assert SOURCE.fingerprint(server.url) is None  # not fetched for it
            SOURCE.fetch(server.url)
            found[source] = SOURCE.fingerprint(server.url)
            # It is computed once.
            with monkeypatch.context() as patch:
                patch.setattr("fedcli.datasets.sqlite.content_hash", None)
                assert SOURCE.fingerprint(server.url) == found[source]
    assert found[plain] == found[indexed] != found[other]
