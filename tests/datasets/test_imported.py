import csv
import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fedcli.datasets import datasets
from fedcli.datasets.importing.columns import ColumnNames
from fedcli.datasets.importing.images import ImageFolder
from fedcli.datasets.importing.missing import SPELLINGS
from fedcli.datasets.importing.store import check_name, imported_file, imported_names
from fedcli.datasets.importing.tables import CsvTable
from fedcli.datasets.importing.texts import TextFolder
from fedcli.datasets.inspect import list_datasets
from fedcli.datasets.sequences import cut_sequences
from fedcli.errors import ConfigError, DataError, UsageError
from fedcli.text.vocabulary import encode
from tests.datasets.importing.sources import COLUMNS, imported, imported_csv, write_csv

ROWS = [(f"c{i % 4}", "xyz"[i % 3], i, -i / 7) for i in range(60)]


def load(source="mine", **keys):
    return datasets["imported"](name="imported", source=source, **keys).load()


clients = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and text not in SPELLINGS
)
values = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(st.tuples(clients, st.integers(0, 3), values, values), min_size=2, max_size=40).filter(
        lambda rows: len({row[0] for row in rows}) > 1 and len({row[1] for row in rows}) > 1
    ),
    seed=st.integers(0, 3),
)
def test_a_table_comes_back_exactly(rows, seed, tensorflow):
    # A client with enough rows for a test split.
    rows = [*rows, *([("bo", 0, 1.5, 2.5)] * 3)]
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, FEDCLI_CACHE=folder):
        path = write_csv(Path(folder) / "t.csv", rows, quoting=csv.QUOTE_ALL)
        about = imported(CsvTable(path, COLUMNS), test=0.4, seed=seed)
        with load() as dataset:
            ids = {client for client, *_ in rows}
            assert dataset.client_ids == sorted(ids)
            test = dataset.test()
            trained = {client: dataset.client(client) for client in dataset.client_ids}
        labels = sorted({label for _, label, _, _ in rows})
        assert list(about.classes) == [str(label) for label in labels]
        remaining = list(zip(test.x.tolist(), test.y.tolist(), strict=True))
        for client in ids:
            own = [
                ([float(np.float32(a)), float(np.float32(b))], labels.index(y)) for c, y, a, b in rows if c == client
            ]
            examples = trained[client]
            kept = list(zip(examples.x.tolist(), examples.y.tolist(), strict=True))
            # The training examples are the client's rows in their order; what is missing is in the test split.
            position = 0
            for example in own:
                if position < len(kept) and example == kept[position]:
                    position += 1
                else:
                    remaining.remove(example)
            assert position == len(kept)
        assert remaining == []


def test_images_come_back_exactly(cache, tmp_path, tensorflow):
    rng = np.random.default_rng(0)
    pixels = {}
    for client in ("anna", "bo"):
        for i in range(10):
            path = tmp_path / "images" / client / str(i % 2 + 7) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels[client, i % 2, i] = rng.integers(0, 256, (5, 6, 3), np.uint8)
            Image.fromarray(pixels[client, i % 2, i]).save(path)
    about = imported(ImageFolder(tmp_path / "images"), test=0.3)
    assert about.classes == ["7", "8"]
    with load() as dataset:
        assert dataset.spec.kind == "image"
        assert dataset.spec.x_shape == (5, 6, 3)
        test = dataset.test()
        parts = [dataset.client("anna"), dataset.client("bo"), test]
    found = sorted((x.tobytes(), int(y)) for part in parts for x, y in zip(part.x, part.y, strict=True))
    expected = ((image / np.float32(255), label) for (_, label, _), image in pixels.items())
    assert found == sorted((x.astype(np.float32).tobytes(), label) for x, label in expected)
    assert (len(parts[0]), len(parts[1]), len(test)) == (7, 7, 6)


def test_texts_come_back_exactly(cache, tmp_path, tensorflow):
    texts = {"anna": "".join(f"line {i}\n" for i in range(50)), "bo": "x" * 70_000}
    (tmp_path / "texts").mkdir()
    for client, text in texts.items():
        (tmp_path / "texts" / f"{client}.txt").write_text(text)
    about = imported(TextFolder(tmp_path / "texts", "CLIENT"))
    assert (about.train_examples, about.test_examples, about.unknown_characters) == (42, 10, 0)
    for drop in (False, True):
        with load(sequence_length=20, drop_remainder=drop) as dataset:
            train = encode("".join(f"line {i}\n" for i in range(40)))
            expected = cut_sequences(train, 20, drop)
            found = dataset.client("anna")
            np.testing.assert_array_equal(found.x, expected.x)
            np.testing.assert_array_equal(found.y, expected.y)
            assert dataset.sizes() == {client: len(dataset.client(client)) for client in ("anna", "bo")}
            assert dataset.spec.y_shape == (20,)
            # The last lines are for the test; of bo's line, cut in two pieces, none: 0.2 of 2 is rounded to 0.
            tested = encode("".join(f"line {i}\n" for i in range(40, 50)))
            np.testing.assert_array_equal(dataset.test().x, cut_sequences(tested, 20, drop).x)


def test_characters_outside_the_vocabulary_are_counted(cache, tmp_path):
    names = ColumnNames(client="c", text="t")
    path = write_csv(tmp_path / "t.csv", [("a", "é~")] * 3 + [("b", "ok")], header=("c", "t"))
    assert imported(CsvTable(path, names)).unknown_characters == 3 * 3  # é has two bytes


def test_only_some_clients(cache, tmp_path, tensorflow):
    imported_csv(tmp_path / "t.csv", ROWS)
    with load(clients=["c1"]) as dataset:
        assert dataset.client_ids == ["c1"]
        assert dataset.test_size() == len(dataset.test()) == 3
    with pytest.raises(ConfigError, match="there is no client c9"):
        load(clients=["c9"])


def test_a_copied_cache_is_fine_and_a_changed_file_is_not(cache, tmp_path, monkeypatch):
    imported_csv(tmp_path / "t.csv", ROWS)
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "copy"))
    shutil.copytree(cache, tmp_path / "copy", copy_function=shutil.copyfile)
    load().close()
    with imported_file("mine").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    with pytest.raises(DataError, match="is not what was imported"):
        load()
    imported_file("mine").write_bytes(b"no database")
    with pytest.raises(DataError, match="is not what was imported"):
        datasets["imported"](name="imported", source="mine").spec  # noqa: B018 (a property that reads)


def test_what_was_not_imported(cache, tmp_path):
    def hint(source):
        with pytest.raises(ConfigError, match="no imported data set of that name") as caught:
            datasets["imported"](name="imported", source=source).spec  # noqa: B018
        return caught.value.hint

    assert hint("mine") == "make it with fedcli data import mine FILE"
    imported_csv(tmp_path / "t.csv", ROWS)
    assert hint("mein").startswith("did you mean mine?")
    assert hint("../imported/mine").endswith("mine")
    config = datasets["imported"](name="imported")
    assert [field for field, _ in config.problems()] == ["source"]
    with pytest.raises(ConfigError, match=r"dataset\.source: must be the name"):
        config.load()


def test_the_list_has_what_was_imported(cache, tmp_path):
    assert "imported" not in {listing.name for listing in list_datasets()}
    imported_csv(tmp_path / "t.csv", ROWS)
    imported_csv(tmp_path / "t.csv", ROWS, name="a.b")
    assert imported_names() == ["a.b", "mine"]
    found = {listing.name: listing for listing in list_datasets()}
    assert (found["mine"].clients, found["mine"].classes, found["mine"].cached) == (4, 3, True)
    assert found["mine"].description.endswith("dataset=imported dataset.source=mine")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 101, "x.sqlite", "-x", "ä"])
def test_what_is_no_name(name):
    with pytest.raises(UsageError, match="not a name for a data set"):
        check_name(name)


@pytest.mark.parametrize("name", ["digits", "imported"])
def test_names_that_are_data_sets(name):
    with pytest.raises(UsageError, match="that is a data set already"):
        check_name(name)


def test_characters_outside_the_vocabulary_are_said_once_when_sequences_are_counted(
    cache, tmp_path, tensorflow, caplog
):
    (tmp_path / "texts").mkdir()
    for client in ("anna", "bo"):
        (tmp_path / "texts" / f"{client}.txt").write_text("Zwölf~\n" * 10, encoding="utf-8")
    imported(TextFolder(tmp_path / "texts", "CLIENT"))
    with load() as dataset:
        assert dataset.sizes() == dataset.sizes() == {"anna": 1, "bo": 1}
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    # 8 of each client's 10 lines of 8 bytes are for training; ö has two bytes.
    assert record.message == (
        "48 of 128 bytes of the training text (38 %) are outside the vocabulary and read as 'd': '\\xf6' (16), '~' (16)"
    )
    with load(clients=["bo"]) as dataset:
        dataset.sizes()
    assert caplog.records[-1].message.startswith("24 of 64 bytes")
