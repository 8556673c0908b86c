import csv
import gc
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.datasets.importing.columns import ColumnNames
from fedcli.datasets.importing.missing import SPELLINGS
from fedcli.datasets.importing.tables import CsvTable, ParquetTable
from fedcli.errors import DataError, UsageError
from tests.datasets.importing.sources import COLUMNS, bad_rows, good_rows, write_csv

# What CSV can carry: everything but surrogates (no UTF-8) and what decides what a name or a label is.
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: (
        text == text.strip()
        and text.lower() != "nan"
        and text not in SPELLINGS
        and not text[0].isdigit()
        and text[0] not in "+-."
    )
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(words, words, numbers, numbers), max_size=20),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read(rows, quoting, end):
    with tempfile.TemporaryDirectory() as folder:
        # Python 3.11's writer does not quote a lone carriage return by itself.
        quoting = csv.QUOTE_ALL if any("\r" in client + label for client, label, _, _ in rows) else quoting
        path = write_csv(Path(folder) / "t.csv", rows, quoting=quoting, lineterminator=end)
        table = CsvTable(path, COLUMNS)
        assert bad_rows(table) == []
        found = good_rows(table)
        assert [(row.client, row.label) for row in found] == [(client, label) for client, label, _, _ in rows]
        for row, (_, _, a, b) in zip(found, rows, strict=True):
            np.testing.assert_array_equal(row.content, np.array([a, b], np.float32))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_rows_or_bad_rows(data):
    """Every line that is not empty is accounted for, whatever is in the file: nothing raises, nothing is dropped."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(b"client,label,a\n" + data)
        table = CsvTable(path, COLUMNS)
        found = list(table.rows(True))
        if b'"' not in data:
            # Without quotes a line is a row.
            lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            assert len(found) == sum(line != b"" for line in lines)


def test_places_are_the_lines_where_rows_begin(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "client,label,a\n"
        '"two\nlines",x,1\n'  # lines 2 and 3
        "c,x\n"  # 4
        "\n"  # an empty line is no row
        "c,,1\n"  # 6
        "c,x,1,2\n"  # 7
        ",x,1\n"  # 8
        "c,x,\n"  # 9
        "c,nan,1\n"  # 10
        'c,x,"1"2\n'  # 11
        "c,x,1\n"
        'c,x,"never closed\n1\n',  # 13
        encoding="utf-8",
    )
    table = CsvTable(path, COLUMNS)
    assert [row.client for row in good_rows(table)] == ["two\nlines", "c"]
    assert bad_rows(table) == [
        ("line 4", "2 fields instead of 3"),
        ("line 6", "no label"),
        ("line 7", "4 fields instead of 3"),
        ("line 8", "no client"),
        ("line 9", "column a: no value"),
        ("line 10", "no label (nan stands for a missing one; see --missing)"),
        ("line 11", "',' expected after '\"'"),
        ("line 13", "unexpected end of data"),
    ]


def test_bytes_that_are_not_utf_8_are_one_bad_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfclient,label,a\nc,x,1\nc,caf\xe9,1\nc,caf\xc3\xa9,1\n")
    table = CsvTable(path, COLUMNS)
    assert bad_rows(table) == [("line 3", "not UTF-8")]
    assert [row.label for row in good_rows(table)] == ["x", "café"]


def test_only_the_named_columns_are_inputs(tmp_path):
    path = write_csv(tmp_path / "t.csv", [("c", "x", "1", "no number")])
    table = CsvTable(path, ColumnNames("label", "client", features=["a"]))
    assert (table.kind, table.columns, table.x_shape) == ("table", ["a"], (1,))
    assert good_rows(table)[0].content.tolist() == [1.0]


def test_all_rows_are_one_client_s_without_a_client_column(tmp_path):
    path = write_csv(tmp_path / "t.csv", [("x", 1), ("y", 2)], header=("label", "a"))
    table = CsvTable(path, ColumnNames("label"))
    assert table.client_from is None
    assert {row.client for row in good_rows(table)} == {"all"}


def test_texts_end_with_a_line_end(tmp_path):
    path = write_csv(tmp_path / "t.csv", [("c", "one"), ("c", "two\n"), ("c", "")], header=("client", "words"))
    table = CsvTable(path, ColumnNames(client="client", text="words"))
    assert table.kind == "text"
    assert [row.content for row in good_rows(table)] == [b"one\n", b"two\n", b"\n"]


def test_the_field_limit_of_the_process_stays(tmp_path):
    before = csv.field_size_limit()
    path = write_csv(tmp_path / "t.csv", [("c", "z" * (before + 1))], header=("client", "words"))
    assert len(good_rows(CsvTable(path, ColumnNames(client="client", text="words")))[0].content) == before + 2
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (ColumnNames("lable", "client"), "--label lable: {} has no such column", "did you mean label? its columns: "),
        (ColumnNames("label", "who"), "--client who: {} has no such column", "its columns: client, label, a, a"),
        (ColumnNames("label", features=["b"]), "--features b: {} has no such column", "its columns"),
        (ColumnNames("label", features=["a"]), "--features a: {} has 2 such columns", "rename all but one"),
        (ColumnNames("label", features=["label"]), "--features label: that column is the label", "leave it out"),
        (ColumnNames(), "{}: which column is the label?", "give --label COLUMN, or --text COLUMN"),
        (ColumnNames("label", text="a"), "--text: a text has neither --label", "give --text, or"),
    ],
)
def test_columns_that_make_no_sense(tmp_path, names, message, hint):
    path = write_csv(tmp_path / "t.csv", [], header=("client", "label", "a", "a"))
    with pytest.raises(UsageError) as caught:
        CsvTable(path, names)
    assert caught.value.message.startswith(message.format(path))
    assert hint in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"\n", b",,\n", b"\xff\xfe\n", b'"a\n'])
def test_no_header(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="line 1") as caught:
        CsvTable(path, COLUMNS)
    assert "names its columns" in caught.value.hint


def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path):
    def peak(rows):
        path = write_csv(tmp_path / f"{rows}.csv", ((i % 7, i % 3, i, -i) for i in range(rows)))
        table = CsvTable(path, COLUMNS)
        gc.collect()
        tracemalloc.start()
        try:
            count = sum(1 for _ in table.rows(True))
            return count, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(1_000), peak(30_000)
    assert (few[0], many[0]) == (1_000, 30_000)
    # The large file has over 500 KB.
    assert many[1] < few[1] + 100_000


def parquet(path, columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
    return path


def test_parquet_is_read_as_csv_is(tmp_path):
    path = parquet(
        tmp_path / "t.parquet",
        {
            "client": ["c", "c", None, "d", "d"],
            "label": [1.0, float("nan"), 2.0, 2.5, 2.0],
            "a": [0.5, 1.0, 1.0, 1.0, None],
            "b": [1, 2, 3, 4, 5],
        },
    )
    table = ParquetTable(path, COLUMNS)
    (row,) = good_rows(table)
    assert (row.client, row.label, row.content.tolist()) == ("c", "1", [0.5, 1.0])
    assert bad_rows(table) == [
        ("row 2", "no label"),
        ("row 3", "no client"),
        ("row 4", "label 2.5 is a fraction: a class is a whole number or a word"),
        ("row 5", "column a: no value"),
    ]


def test_parquet_of_many_pieces(tmp_path):
    path = parquet(
        tmp_path / "t.parquet", {"client": ["c"] * 5000, "label": list(range(5000)), "x": [True, False] * 2500}
    )
    found = good_rows(ParquetTable(path, COLUMNS))
    assert [row.label for row in found] == [str(i) for i in range(5000)]
    assert [row.content[0] for row in found[:2]] == [1.0, 0.0]


def test_what_is_no_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_text("client,label\n")
    with pytest.raises(DataError, match="is not a sound Parquet file"):
        ParquetTable(tmp_path / "t.parquet", COLUMNS)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").touch()
    with pytest.raises(UsageError, match="needs pyarrow, which is not installed") as caught:
        ParquetTable(tmp_path / "t.parquet", COLUMNS)
    assert "fedcli[parquet]" in caught.value.hint


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_a_missing_value_is_bad_wherever_it_is(tmp_path, spelling):
    rows = [(spelling, "x", 1), ("c", spelling, 1), ("c", "x", f" {spelling} "), ("c", "x", 1)]
    table = CsvTable(write_csv(tmp_path / "t.csv", rows, ("client", "label", "a")), COLUMNS)
    why = f"({spelling} stands for a missing one; see --missing)"
    assert bad_rows(table) == [
        ("line 2", f"no client {why}"),
        ("line 3", f"no label {why}"),
        ("line 4", f"column a: no value {why}"),
    ]
    texts = CsvTable(tmp_path / "t.csv", ColumnNames(client="client", text="label"))
    assert ("line 3", f"no text {why}") in bad_rows(texts)


@pytest.mark.parametrize("word", ["none", "na", "Na", "missing", "null island", "NANA"])
def test_words_are_classes(tmp_path, word):
    table = CsvTable(write_csv(tmp_path / "t.csv", [("c", word, 1)], ("client", "label", "a")), COLUMNS)
    assert [row.label for row in good_rows(table)] == [word]


def test_a_number_can_stand_for_a_missing_value(tmp_path):
    rows = [("c", "x", "-999"), ("c", "x", "-999.0"), ("c", "x", "-99"), ("c", "x", "NA")]
    names = ColumnNames("label", "client", missing=["-999"])
    table = CsvTable(write_csv(tmp_path / "t.csv", rows, ("client", "label", "a")), names)
    assert [row.content.tolist() for row in good_rows(table)] == [[-99.0]]
    assert bad_rows(table)[1] == ("line 3", "column a: no value (-999.0 stands for a missing one; see --missing)")
    assert bad_rows(table)[2] == ("line 5", "column a: 'NA' is no number")


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0_level_1", "...1", "__index_level_0__"])
def test_a_column_without_a_name_is_no_input(tmp_path, name):
    path = write_csv(tmp_path / "t.csv", [(7, "c", "x", 1)], (name, "client", "label", "a"))
    table = CsvTable(path, COLUMNS)
    assert table.columns == ["a"]
    shown = f"column 1 ({name})" if name else "column 1"
    assert table.notes == [f"not an input, since it has no name: {shown}; --features names the inputs otherwise"]
    if name:
        assert CsvTable(path, ColumnNames("label", "client", features=[name])).columns == [name]


def test_an_index_of_pandas_in_parquet_is_no_input(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"client": ["c"], "label": ["x"], "a": [1.0], "__index_level_0__": [3]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    assert ParquetTable(tmp_path / "t.parquet", COLUMNS).columns == ["a"]


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fedcli.datasets.importing.tables._LONGEST_LINE", 100)
    path = tmp_path / "t.csv"
    path.write_text(f"client,label,a\nc,x,{'1' * 95}\n")
    assert bad_rows(CsvTable(path, COLUMNS))[0][1].endswith("is not a finite number of 32 bits")
    path.write_text(f"client,label,a\nc,x,1\nc,x,{'1' * 200}\n")
    with pytest.raises(DataError, match="line 3 has more than 100 characters"):
        list(CsvTable(path, COLUMNS).rows(True))
    with path.open("wb") as file:
        file.truncate(2**40)  # zeros, of which the disk holds none
    with pytest.raises(DataError, match="line 1 has more than 100 characters"):
        CsvTable(path, COLUMNS)


def test_a_parquet_file_that_unpacks_to_far_more_is_refused(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"client": ["c"] * 9, "label": ["x"] * 9, "words": [f"{i}" + "z" * 100_000 for i in range(9)]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet", compression="zstd", use_dictionary=False)
    names = ColumnNames(client="client", text="words")
    assert len(good_rows(ParquetTable(tmp_path / "t.parquet", names))) == 9
    monkeypatch.setattr("fedcli.datasets.importing.tables._ALWAYS_UNPACKED", 100_000)
    with pytest.raises(DataError, match="column words unpacks to 9"):
        ParquetTable(tmp_path / "t.parquet", names)


def test_columns_with_usual_names_are_inputs(tmp_path):
    path = write_csv(tmp_path / "t.csv", [("c", "x", 1, 2, 3)], ("client", "label", "index", "V1", "Unnamed"))
    table = CsvTable(path, COLUMNS)
    assert table.columns == ["index", "V1", "Unnamed"]
    assert table.notes == []
