import gc
import json
import threading
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fedcli.datasets import datasets
from fedcli.datasets.importing.build import class_order
from fedcli.datasets.importing.columns import ColumnNames
from fedcli.datasets.importing.images import ImageFolder
from fedcli.datasets.importing.store import imported_file, read_about
from fedcli.datasets.importing.tables import CsvTable
from fedcli.errors import DataError, UsageError
from tests.datasets.importing.sources import COLUMNS, imported, imported_csv, query, write_csv

ROWS = [(f"c{i % 4}", "xyz"[i % 3], i, -i / 7) for i in range(60)]


def test_the_form_is_tffs(cache, tmp_path):
    about = imported_csv(tmp_path / "t.csv", ROWS)
    assert (about.train_examples, about.test_examples, about.train_clients, about.test_clients) == (48, 12, 4, 4)
    listed = query("mine", "SELECT split_name, client_id, num_examples FROM client_metadata")
    there = query("mine", "SELECT split_name, client_id, COUNT(*) FROM examples GROUP BY 1, 2")
    assert sorted(listed) == sorted(there)
    assert Counter(split for split, _, _ in listed) == {"train": 4, "test": 4}
    assert json.loads(query("mine", "SELECT document FROM fedcli_import")[0][0])["classes"] == ["x", "y", "z"]


def test_tff_reads_it(cache, tmp_path, tensorflow):
    imported_csv(tmp_path / "t.csv", ROWS)
    import tensorflow_federated as tff

    tf = tensorflow

    spec = {"features": tf.TensorSpec((2,), tf.float32), "label": tf.TensorSpec((), tf.int64)}
    data = tff.simulation.datasets.load_and_parse_sql_client_data(str(imported_file("mine")), spec, "train")
    assert data.client_ids == ["c0", "c1", "c2", "c3"]
    found = [example["features"].numpy() for example in data.create_tf_dataset_for_client("c1")]
    with datasets["imported"](name="imported", source="mine").load() as dataset:
        np.testing.assert_array_equal(np.array(found), dataset.client("c1").x)


def test_classes_are_numbered_in_a_stated_order(cache, tmp_path):
    assert class_order(Counter(["10", "9", "1"])) == ["1", "9", "10"]
    assert class_order(Counter(["10", "9", "b", "a"])) == ["10", "9", "a", "b"]
    assert class_order(Counter(["2", "0", "1"])) == ["0", "1", "2"]


def test_bad_rows_are_refused_with_their_lines_and_nothing_is_written(cache, tmp_path):
    rows = [*ROWS[:3], ("c0", "", 1, 2), ("c0", "x", "?", 2), *([("c1",)] * 5)]
    with pytest.raises(DataError) as caught:
        imported_csv(tmp_path / "t.csv", rows)
    assert caught.value.message == (
        "the source: 7 of 10 rows are bad: line 5: no label; line 6: column a: '?' is no number; "
        "line 7: 1 fields instead of 4; line 8: 1 fields instead of 4; line 9: 1 fields instead of 4; and 2 more"
    )
    assert "--bad-rows skip" in caught.value.hint
    assert not imported_file("mine").exists()


def test_skipped_rows_are_all_in_the_database(cache, tmp_path):
    rows = [*ROWS, *([("c0", "", 1, 2)] * 300)]
    about = imported_csv(tmp_path / "t.csv", rows, skip=True)
    assert (about.bad_rows, about.train_examples + about.test_examples) == (300, 60)
    found = query("mine", "SELECT place, reason FROM fedcli_bad_rows")
    assert found == [(f"line {line}", "no label") for line in range(62, 362)]


def test_an_image_that_turns_out_damaged_is_refused_or_skipped(cache, tmp_path):
    for client in "ab":
        for i in range(6):
            path = tmp_path / "images" / client / "xy"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((3, 3), i, np.uint8)).save(path)
    damaged = tmp_path / "images" / "b" / "y" / "5.png"
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(DataError, match=r"1 of 12 files is bad: b/y/5.png: not a"):
        imported(ImageFolder(tmp_path / "images"))
    assert not imported_file("mine").exists()
    assert [file.name for file in imported_file("mine").parent.iterdir()] == ["mine.sqlite.lock"]
    about = imported(ImageFolder(tmp_path / "images"), skip=True)
    assert (about.bad_rows, about.train_examples + about.test_examples) == (1, 11)


def test_a_failed_replacement_leaves_what_was_there(cache, tmp_path):
    imported_csv(tmp_path / "t.csv", ROWS)
    before = imported_file("mine").read_bytes()

    class Fails(CsvTable):
        def rows(self, contents):
            for number, row in enumerate(super().rows(contents)):
                if contents and number == 30:
                    raise KeyboardInterrupt
                yield row

    with pytest.raises(KeyboardInterrupt):
        imported(Fails(tmp_path / "t.csv", COLUMNS), replace=True)
    assert imported_file("mine").read_bytes() == before
    assert not imported_file("mine").with_name("mine.sqlite.new").exists()
    with datasets["imported"](name="imported", source="mine").load() as dataset:
        assert sum(dataset.sizes().values()) == 48


@pytest.mark.parametrize("number", [255, 256, 257, 513, 2000])
def test_every_row_is_written_however_many_there_are(cache, tmp_path, number):
    imported_csv(tmp_path / "t.csv", ((f"c{i % 3}", i % 2, i, 0) for i in range(number)))
    assert query("mine", "SELECT COUNT(*) FROM examples") == [(number,)]
    with datasets["imported"](name="imported", source="mine").load() as dataset:
        parts = [*(dataset.client(client) for client in dataset.client_ids), dataset.test()]
    assert sorted(np.concatenate([part.x[:, 0] for part in parts])) == list(range(number))


def test_of_two_imports_of_one_name_at_once_one_is_refused(cache, tmp_path):
    """The second begins while the first reads, when the name is still free."""
    reading, done = threading.Event(), threading.Event()

    class Slow(CsvTable):
        def rows(self, contents):
            reading.set()
            assert done.wait(60)
            return super().rows(contents)

    path = write_csv(tmp_path / "t.csv", ROWS)
    with ThreadPoolExecutor(1) as other:
        second = other.submit(imported, Slow(path, COLUMNS))
        assert reading.wait(60)
        first = imported_csv(tmp_path / "first.csv", ROWS[:40])
        done.set()
        with pytest.raises(UsageError, match="mine: that name is taken, by the source"):
            second.result()
    assert read_about("mine").train_examples == first.train_examples == 32
    with pytest.raises(UsageError, match="that name is taken"):
        imported_csv(tmp_path / "first.csv", ROWS)
    assert imported_csv(tmp_path / "first.csv", ROWS, replace=True).train_examples == 48


def test_a_source_that_changes_between_the_passes_is_refused(cache, tmp_path):
    class Shrinks(CsvTable):
        def rows(self, contents):
            found = list(super().rows(contents))
            yield from found[:-1] if contents else found

    with pytest.raises(DataError, match="changed while it was read"):
        imported(Shrinks(write_csv(tmp_path / "t.csv", ROWS), COLUMNS))
    assert not imported_file("mine").exists()


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        ([], COLUMNS, "no rows to import"),
        ([("c", "x", 1, 2), ("c", "y", 1, 2)], COLUMNS, "column client names one client only, c"),
        ([("c", "x", 1, 2), ("d", "x", 1, 2)], COLUMNS, "there is one label only, x"),
        ([("c", "x", 1, 2), ("d", "y", 1, 2)], COLUMNS, "with --test-fraction 0.2 the test split would be empty"),
        (
            [("c", "x", 1, "train"), ("d", "y", 1, "train")],
            ColumnNames("label", "client", "b"),
            "column b says test nowhere",
        ),
    ],
)
def test_what_makes_no_federated_data_set(cache, tmp_path, rows, names, message):
    with pytest.raises(UsageError, match=message):
        imported_csv(tmp_path / "t.csv", rows, names)
    assert not imported_file("mine").exists()


def test_too_many_classes(cache, tmp_path):
    with pytest.raises(UsageError, match="more than 10,000 different labels"):
        imported_csv(tmp_path / "t.csv", ((i % 5, i, 1, 1) for i in range(10_002)))


def test_a_split_column_decides_and_may_name_clients_for_the_test_only(cache, tmp_path):
    rows = [(f"c{i % 3}", "xy"[i % 2], i, "train" if i % 3 else "Test") for i in range(30)]
    about = imported_csv(tmp_path / "t.csv", rows, ColumnNames("label", "client", "b"))
    assert (about.train_clients, about.test_clients, about.split) == (2, 1, "column b")
    with datasets["imported"](name="imported", source="mine").load() as dataset:
        assert dataset.client_ids == ["c1", "c2"]
        # c0 is no training client, its examples are tested on nevertheless.
        assert dataset.test().x[:, 0].tolist() == [float(i) for i in range(0, 30, 3)]
        assert dataset.test_size() == 10


def test_a_large_import_takes_no_more_memory_than_a_small_one(cache, tmp_path):
    def peak(rows):
        path = write_csv(tmp_path / f"{rows}.csv", ((i % 7, i % 3, i, -i) for i in range(rows)))
        gc.collect()
        tracemalloc.start()
        try:
            about = imported(CsvTable(path, COLUMNS), f"of{rows}")
            assert about.train_examples + about.test_examples == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # imports
    # The large database has 1 MB. Most of what either takes is a batch, and what is logged.
    few, many = peak(1_000), peak(10_000)
    assert imported_file("of10000").stat().st_size > 750_000
    assert many < few + 200_000
