import json
import lzma
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

FEDCLI = Path(sys.executable).with_name("fedcli")
SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture
def fedcli(tmp_path, monkeypatch):
    """Runs `fedcli data` with an empty cache and an origin that has one data set, without examples."""
    origin = tmp_path / "origin"
    (origin / "tff-datasets-public").mkdir(parents=True)
    database = tmp_path / "shakespeare.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "CREATE TABLE examples (split_name TEXT, client_id TEXT, serialized_example_proto BLOB);"
            "CREATE TABLE client_metadata (client_id TEXT, split_name TEXT, num_examples INTEGER);"
            "INSERT INTO client_metadata VALUES ('c', 'train', 1), ('c', 'test', 1);"
            "INSERT INTO examples VALUES ('train', 'c', x'00'), ('test', 'c', x'00');"
        )
    packed = lzma.compress(database.read_bytes(), format=lzma.FORMAT_ALONE)
    (origin / "tff-datasets-public" / "shakespeare.sqlite.lzma").write_bytes(packed)
    monkeypatch.setenv("FEDCLI_ORIGIN", origin.as_uri())
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        return subprocess.run([FEDCLI, "data", *arguments], capture_output=True, text=True, cwd=tmp_path)

    return run


def test_list_shows_every_data_set(fedcli):
    done = fedcli("list")
    assert done.returncode == 0
    assert done.stderr == ""
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["name", "clients", "what", "size", "cached"]
    assert [row.split()[:2] for row in rows] == [["digits", "13"], ["emnist", "3,383"], ["shakespeare", "715"]]
    assert "ships with fedcli" in rows[0]
    assert "171 MB to fetch, 4.71 GB on disk" in rows[1]
    assert "fedcli data fetch emnist" in rows[1]


def test_list_imports_no_tensorflow(fedcli):
    program = "import atexit, sys; atexit.register(lambda: print('tensorflow' in sys.modules))\n"
    program += "from fedcli.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "data", "list", "-q"], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_fetch_prints_where_the_file_is_and_list_knows_it(fedcli, tmp_path):
    done = fedcli("fetch", "shakespeare")
    assert done.returncode == 0, done.stderr
    (path,) = done.stdout.splitlines()
    assert Path(path).is_file()
    assert Path(path).is_relative_to(tmp_path / "cache")
    assert "unpacking shakespeare.sqlite.lzma" in done.stderr
    assert "shakespeare is in the cache" in done.stderr

    document = json.loads(fedcli("fetch", "shakespeare", "--json").stdout)
    assert document == {"name": "shakespeare", "path": path, "fetched": False, "bytes": os.path.getsize(path)}
    rows = fedcli("list").stdout.splitlines()
    assert rows[3].endswith(path)
    listed = {row["name"]: row for row in json.loads(fedcli("list", "--json").stdout)["datasets"]}
    assert listed["shakespeare"]["cached"] is True
    assert listed["emnist"]["cached"] is False


def test_quiet_leaves_the_path_only(fedcli):
    done = fedcli("fetch", "shakespeare", "-q")
    assert done.stderr == ""
    assert Path(done.stdout.strip()).is_file()


def test_options_say_where_from_and_where_to(fedcli, tmp_path, monkeypatch):
    origin = os.environ["FEDCLI_ORIGIN"]
    monkeypatch.setenv("FEDCLI_ORIGIN", "file:///nothing")
    place = tmp_path / "other"
    done = fedcli("fetch", "shakespeare", "--origin", origin, "--cache-dir", str(place))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(place)


def test_digits_ship_with_fedcli(fedcli):
    done = fedcli("fetch", "digits")
    assert done.returncode == 0
    assert "digits ships with fedcli" in done.stderr
    assert json.loads(fedcli("fetch", "digits", "--json").stdout)["path"] is None


def test_an_origin_without_the_file_is_an_error_of_two_lines(fedcli):
    done = fedcli("fetch", "emnist")
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()[-2:]
    assert error.startswith("error: cannot fetch file://")
    assert hint.startswith("  try: ")
    failed = fedcli("fetch", "emnist", "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["error"]["type"] == "DownloadError"


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["fetch", "emnits"], "emnits: no such data set", "did you mean emnist? choose one of: digits, emnist"),
        (["inspect", "digit"], "digit: no such data set", "did you mean digits?"),
        (["inspect", "emnist", "only_digit=false"], "dataset.only_digit: no such key", "did you mean only_digits?"),
        (
            ["inspect", "digits", "only_digits=true"],
            "dataset.only_digits: not a key of",
            "it belongs to dataset=emnist",
        ),
        (["inspect", "emnist", "dataset.only_digits=maybe"], "dataset.only_digits=maybe: must be true", "set it"),
        (["inspect", "digits", "batch_size=0"], "dataset.batch_size=0: must be from 1 to 1000000000", "set it"),
        (["inspect", "emnist", "only_digits"], "only_digits: not KEY=VALUE", "did you mean"),
        (["inspect", "emnist", "--only-digits=false"], "--only-digits=false: no such option", "only_digits=false"),
        (["inspect", "emnist", "dataset=digits"], "dataset=digits: not a key of emnist", "data inspect digits"),
        (["list", "--origin", "nowhere"], "dataset.origin=nowhere: not an http", "dataset.origin=file://"),
    ],
)
def test_wrong_usage_is_two_lines_and_code_2(fedcli, arguments, error, hint):
    done = fedcli(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert error in first
    assert hint in second
    document = json.loads(fedcli(*arguments, "--json").stdout)
    assert document["error"]["exit_code"] == 2


def test_inspect_counts_the_digits(fedcli):
    done = fedcli("inspect", "digits", "clients=[writer_00,writer_07]", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["clients"], found["examples_min"], found["examples_max"]) == (2, 115, 116)
    assert found["test_examples"] == 46
    assert sum(found["labels"].values()) == found["examples"] == 231

    shown = fedcli("inspect", "digits").stdout
    assert "training clients   13\n" in shown
    assert "min 115, median 115, max 116\n" in shown
    assert "test examples      299\n" in shown


@pytest.mark.skipif(
    not (SHARED / "mirror_small").exists(), reason="the small mirror, ../shared, is not on this machine"
)
def test_inspect_counts_characters(fedcli):
    origin = (SHARED / "mirror_small").resolve().as_uri()
    done = fedcli("inspect", "shakespeare", "dataset.sequence_length=50", "--origin", origin, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kind"] == "text"
    assert max(found["labels"], key=found["labels"].get) == " "
    assert found["examples_min"] <= found["examples_median"] <= found["examples_max"]
    # TensorFlow says nothing on the terminal.
    said = [line for line in done.stderr.splitlines() if "shakespeare" not in line]
    assert ["outside the vocabulary" in line for line in said] == [True]
