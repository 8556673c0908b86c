"""`fedcli data import`, and training on what was imported."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from tests.datasets.importing.sources import write_csv


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Sources beside an empty cache: a table, images and texts of 12 clients."""
    rng = np.random.default_rng(0)
    rows = [(f"farm {i % 12}", ["red", "green", "blue"][i % 3], i % 3 + rng.normal(), rng.normal()) for i in range(240)]
    write_csv(tmp_path / "table.csv", rows, ("farm", "colour", "a", "b"))
    write_csv(tmp_path / "bad.csv", [*rows, ("farm 0", "red", "?", 1), ("farm 0",)], ("farm", "colour", "a", "b"))
    for client in range(12):
        for i in range(5):
            path = tmp_path / "images" / f"w{client}" / "01"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(path)
        (tmp_path / "texts" / f"w{client}").mkdir(parents=True)
        (tmp_path / "texts" / f"w{client}" / "a.txt").write_text("the cat sat on the mat\n" * 20)
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def fedcli(invoke, files, monkeypatch):
    """Runs fedcli where the files are, with their cache."""
    monkeypatch.setenv("FEDCLI_CACHE", str(files / "cache"))

    def run(*arguments):
        return invoke(*map(str, arguments))

    return run


TABLE = ("table.csv", "--label", "colour", "--client", "farm")


def test_import_says_what_was_made(fedcli):
    done = fedcli("data", "import", "farms", *TABLE)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert "train: 192 examples of 12 clients" in done.stderr
    assert "test:  48 examples of 12 clients (0.2 of each client's rows, chosen with seed 0)" in done.stderr
    assert "labels: blue is 0, green is 1, red is 2" in done.stderr
    assert "fedcli train dataset=imported dataset.source=farms model=mlp\n" in done.stderr
    assert "farms" in fedcli("data", "list").stdout
    found = json.loads(fedcli("data", "inspect", "farms", "batch_size=30", "--json").stdout)
    assert found["labels"] == {"blue": 64, "green": 64, "red": 64}
    assert (found["name"], found["clients"], found["clients_without_batches"]) == ("farms", 12, 0)
    assert found["client_labels"]["farm 1"] == {"green": 16}
    assert found["label_distance"] == pytest.approx(2 / 3)


def test_bad_rows_are_shown_or_skipped(fedcli):
    refused = fedcli("data", "import", "farms", "bad.csv", *TABLE[1:])
    assert refused.exit_code == 1
    error, hint = refused.stderr.splitlines()[-2:]
    assert error.endswith(
        "2 of 242 rows are bad: line 242: column a: '?' is no number; line 243: 1 fields instead of 4"
    )
    assert hint.startswith("  try: fix them, or leave them out with --bad-rows skip")

    skipped = fedcli("data", "import", "farms", "bad.csv", *TABLE[1:], "--bad-rows", "skip")
    assert skipped.exit_code == 0
    lines = skipped.stderr.splitlines()
    start = lines.index("left out: 2 bad rows")
    assert lines[start + 1] == "  line 242: column a: '?' is no number"

    document = json.loads(
        fedcli("data", "import", "farms", "bad.csv", *TABLE[1:], "--bad-rows", "skip", "--replace", "--json").stdout
    )
    assert document["bad_rows"] == 2
    assert document["first_bad_rows"][1] == {"place": "line 243", "reason": "1 fields instead of 4"}


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["nowhere.csv"], "nowhere.csv: no such file or folder", "give a CSV"),
        (["table.csv"], "table.csv: which column is the label?", "its columns: farm, colour, a, b"),
        (["table.csv", "--label", "color"], "--label color: table.csv has no such column", "did you mean colour?"),
        (["table.csv", "--label", "a"], "bad: line 2: label", "--bad-rows skip"),
        ([*TABLE, "--features", "a,colour"], "--features colour: that column is the label", "leave it out"),
        ([*TABLE, "--layout", "CLIENT/*"], "--layout: table.csv is a file", "these options are for folders"),
        ([*TABLE, "--bad-rows", "ignore"], "--bad-rows ignore: no such choice", "choose one of: fail, skip"),
        ([*TABLE, "--test-fraction", "1"], "--test-fraction 1: not a fraction", "between 0 and 1"),
        ([*TABLE, "--test-fraction", "0.001"], "the test split would be empty", "give a larger one"),
        ([*TABLE, "--delimiter", ";;"], "--delimiter ;;: not one character", "such as ;"),
        (["images", "--label", "x"], "--label: images is a folder", "--layout"),
        (["images", "--size", "28"], "--size 28: not HEIGHTxWIDTH", "--size 28x28"),
        (["images", "--channels", "2"], "--channels 2: not a number of channels", "1 for gray"),
        (["images", "--layout", "CLIENT"], "--layout CLIENT: not a layout", "parts are CLIENT, LABEL"),
        (["texts", "--size", "28x28"], "--size: texts is a folder of texts", "for images"),
        (["cache"], "cache: no images and no texts there", "images end in .png"),
        (["one.csv", "--label", "y", "--client", "c"], "column c names one client only, me", "partition=iid"),
        (["table.xls"], "table.xls: neither a .csv", "rename it"),
    ],
)
def test_mistakes_are_two_lines(fedcli, files, arguments, error, hint):
    (files / "cache").mkdir(exist_ok=True)
    (files / "table.xls").touch()
    write_csv(files / "one.csv", [("me", "x", 1), ("me", "y", 2)] * 9, ("c", "y", "a"))
    done = fedcli("data", "import", "mine", *arguments)
    assert done.exit_code == (1 if "bad: " in error else 2)
    first, second = [line for line in done.stderr.splitlines() if not line.startswith("reading")]
    assert error in first
    assert hint in second
    assert not list(files.glob("cache/imported/*.sqlite"))


def test_names_that_are_taken(fedcli):
    built_in = fedcli("data", "import", "digits", *TABLE)
    assert (built_in.exit_code, built_in.stderr.splitlines()[0]) == (
        2,
        "error: digits: that is a data set already, dataset=digits",
    )
    assert fedcli("data", "import", "farms", *TABLE).exit_code == 0
    again = fedcli("data", "import", "farms", *TABLE)
    assert again.exit_code == 2
    assert "farms: that name is taken, by" in again.stderr
    assert "--replace" in again.stderr
    assert fedcli("data", "import", "farms", *TABLE, "--replace").exit_code == 0


def test_without_pyarrow_two_lines_name_the_extra(fedcli, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (files / "t.parquet").touch()
    done = fedcli("data", "import", "mine", "t.parquet", "--label", "y")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 2
    assert "fedcli[parquet]" in done.stderr


def trained(fedcli, *arguments):
    done = fedcli("train", "rounds=1", "clients_per_round=2", "--json", *arguments)
    assert done.exit_code == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_training_on_a_table(fedcli):
    assert fedcli("data", "import", "farms", *TABLE).exit_code == 0
    result = trained(fedcli, "dataset=imported", "dataset.source=farms", "model=mlp", "model.hidden_units=[4]")
    assert 0 <= result["final"]["eval/accuracy"] <= 1
    refused = fedcli("train", "dataset=imported", "dataset.source=farms")
    assert refused.exit_code == 2
    assert "model=cnn takes image data, but the data set holds table" in refused.stderr
    assert "choose a model for table: mlp" in refused.stderr


def test_training_on_images(fedcli):
    assert fedcli("data", "import", "drawings", "images").exit_code == 0
    result = trained(fedcli, "dataset=imported", "dataset.source=drawings", "model=mlp", "model.hidden_units=[4]")
    assert 0 <= result["final"]["eval/accuracy"] <= 1


def test_training_on_texts(fedcli):
    assert fedcli("data", "import", "letters", "texts").exit_code == 0
    keys = ["dataset=imported", "dataset.source=letters", "dataset.sequence_length=10"]
    result = trained(fedcli, *keys, "model=char_rnn", "model.units=4", "model.embedding_dim=2")
    assert 0 <= result["final"]["eval/accuracy"] <= 1


def test_training_on_a_partition_of_one_client(fedcli):
    """A table without a client column is one client's, which a partition deals to many."""
    columns = ("--label", "colour", "--features", "a,b")
    done = fedcli("data", "import", "flat", "table.csv", *columns)
    assert done.exit_code == 0
    assert done.stderr.endswith("model=mlp partition=iid\n")
    keys = ["dataset=imported", "dataset.source=flat", "model=mlp", "model.hidden_units=[4]"]
    refused = fedcli("train", *keys, "clients_per_round=2")
    assert refused.exit_code == 2
    assert "dataset=imported has 1 clients" in refused.stderr
    trained(fedcli, *keys, "partition=dirichlet", "partition.num_clients=8", "partition.alpha=0.5")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["dataset=imported"], "dataset.source=null: must be the name of an imported data set"),
        (["dataset=imported", "dataset.source=farm"], "dataset.source=farm: no imported data set of that name"),
        (["partition=iid", "clients_per_round=101"], "clients_per_round=101: partition=iid makes 100 clients"),
        (
            ["partition=shards", "dataset=shakespeare", "model=char_rnn"],
            "partition=shards deals examples by their label",
        ),
        (
            ["partition=iid", "partition.num_clients=2000"],
            "there are 1,498 training examples to deal, 2,000 are needed",
        ),
        (["partition=dirichlet", "partition.alpha=0"], "partition.alpha=0.0: must be from 1e-06 to 1000000"),
        (["partition=iid", "partition.alpha=1"], "partition.alpha: not a key of partition=iid"),
        (["partition=idd"], "partition=idd: no such partition"),
    ],
)
def test_training_on_what_is_not_there(fedcli, arguments, error):
    done = fedcli("train", "rounds=1", *arguments)
    assert done.exit_code == 2, done.stderr
    assert error in done.stderr
    assert "  try: " in done.stderr


def test_inspect_shows_and_draws_a_partition(fedcli, files):
    keys = ["partition=shards", "partition.num_clients=10", "partition.shards_per_client=1"]
    done = fedcli("data", "inspect", "digits", *keys, "--png", "shares.png")
    assert done.exit_code == 0, done.stderr
    assert "partition          shards, num_clients=10, seed=0, shards_per_client=1" in done.stdout
    assert "training clients   10\n" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("client_")]
    assert len(rows) == 10
    assert all("█" in row for row in rows)
    with Image.open(files / "shares.png") as image:
        assert image.width > 500
    same = json.loads(fedcli("data", "inspect", "digits", *keys, "--json").stdout)
    assert same["partition"] == "shards"
    assert same["label_distance"] > 0.8
    assert sum(same["client_labels"]["client_0"].values()) == same["examples_max"] == 150


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["digits", "partition=dirichlet", "partition.alpha=-1"], "partition.alpha=-1.0: must be from 1e-06"),
        (["digits", "partition.alpha=1"], "partition.alpha: not a key of partition=natural"),
        (["digits", "--png", "plot.jpg"], "--png plot.jpg: the name of a PNG file ends in .png"),
        (["digits", "--png", "none/plot.png"], "there is no folder none"),
        (["farm"], "farm: no such data set"),
    ],
)
def test_inspect_refuses(fedcli, arguments, error):
    done = fedcli("data", "inspect", *arguments)
    assert done.exit_code == 2
    assert error in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_readme_does_not_make_texts_of_images(fedcli, files):
    (files / "images" / "README.txt").write_text("Photos of digits.")
    (files / "images" / "LICENSE").write_text("CC0")
    document = json.loads(fedcli("data", "import", "mine", "images", "--json").stdout)
    assert (document["kind"], document["bad_rows"]) == ("image", 0)
    # Other stray files are reported, not left out unasked.
    (files / "images" / "w1" / "0" / "caption.txt").write_text("a zero")
    done = fedcli("data", "import", "mine", "images", "--replace")
    assert "1 of 61 files is bad: w1/0/caption.txt: not an image" in done.stderr


def test_a_folder_of_both_is_what_the_options_say(fedcli, files):
    for client in range(12):
        for number in range(3):
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(files / "texts" / f"w{client}" / f"{number}.png")

    def imported(*options):
        done = fedcli("data", "import", "mine", "texts", "--bad-rows", "skip", "--replace", "--json", *options)
        return done.exit_code, json.loads(done.stdout).get("kind")

    # CLIENT/* has no LABEL, which images need.
    assert imported("--kind", "texts") == (0, "text")
    assert imported()[0] == 2
    (files / "texts" / "w1" / "more").mkdir()
    for number in range(40):
        (files / "texts" / "w1" / f"{number}.txt").write_text("and so on\n")
    assert imported() == (0, "text")
    assert imported("--size", "4x4")[0] == 2
    refused = fedcli("data", "import", "mine", "texts", "--kind", "sounds")
    assert "--kind sounds: no such choice" in refused.stderr


def test_a_pipe_is_no_source(fedcli, files):
    os.mkfifo(files / "pipe.csv")
    refused = fedcli("data", "import", "mine", "pipe.csv", "--label", "x")
    assert refused.exit_code == 2
    assert "pipe.csv: not a regular file" in refused.stderr


def test_the_spellings_of_a_missing_value_can_be_chosen(fedcli, files):
    rows = [(f"c{i % 3}", ["NA", "EU", "-9"][i % 3], i % 7) for i in range(60)]
    write_csv(files / "regions.csv", rows, ("client", "region", "a"))
    command = ("data", "import", "mine", "regions.csv", "--label", "region", "--features", "a", "--replace")
    refused = fedcli(*command)
    assert "20 of 60 rows are bad: line 2: no label (NA stands for a missing one; see --missing)" in refused.stderr
    names = json.loads(fedcli(*command, "--missing", "", "--json").stdout)["classes"]
    assert names == ["-9", "EU", "NA"]
    found = fedcli(*command, "--missing", "-9.0, ?", "--bad-rows", "skip", "--json").stdout
    assert (json.loads(found)["classes"], json.loads(found)["bad_rows"]) == (["EU", "NA"], 20)


def test_an_index_is_no_input(fedcli, files):
    rows = [(i, f"farm {i % 6}", "xy"[i % 2], i % 5, (i * 7) % 120) for i in range(120)]
    write_csv(files / "pandas.csv", rows, ("", "farm", "label", "a", "number"))
    done = fedcli("data", "import", "mine", "pandas.csv", "--label", "label", "--client", "farm")
    assert "mine: 2 columns" in done.stderr
    assert "note: not an input, since it has no name: column 1" in done.stderr
    assert "note: an input that numbers the rows: number" in done.stderr
    document = json.loads(
        fedcli("data", "import", "it", "pandas.csv", "--label", "label", "--client", "farm", "--json").stdout
    )
    assert document["columns"] == ["a", "number"]
    assert len(document["notes"]) == 2
