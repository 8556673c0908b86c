import contextlib
import errno
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.errors import RunDirectoryError
from fedcli.runs.metrics import COLUMNS, MetricsWriter, Row, read_metrics, truncate_metrics

INITIAL: Row = {"round": 0, "eval/loss": 2.3025851249694824, "eval/accuracy": 0.1, "seconds": 0.5}


def later(round: int) -> Row:
    return {
        "round": round,
        "train/loss": 1 / (round + 2),
        "train/accuracy": 1 - 1 / (round + 2),
        "train/examples": 200 * round,
        "broadcasted_bits": 53_228_160 * round,
        "aggregated_bits": 53_228_160 * round,
        "broadcasted_bits_round": 53_228_160,
        "aggregated_bits_round": 53_228_160,
        "seconds": 0.125,
        "entropy": 3.5,
    }


def write(path: Path, rows: list[Row], extra: list[str] | None = None) -> None:
    with MetricsWriter(path, extra) as writer:
        for row in rows:
            writer.append(row)


def full(row: Row, extra: tuple[str, ...] = ("entropy",)) -> Row:
    return {name: row.get(name) for name in (*COLUMNS, *extra)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_file_looks_as_documented(path: Path) -> None:
    write(path, [INITIAL, later(1)], extra=["entropy"])
    assert path.read_text() == (
        "round,train/loss,train/accuracy,train/examples,eval/loss,eval/accuracy,broadcasted_bits,aggregated_bits,"
        "broadcasted_bits_round,aggregated_bits_round,seconds,entropy\n"
        "0,,,,2.3025851249694824,0.1,,,,,0.5,\n"
        "1,0.3333333333333333,0.6666666666666667,200,,,53228160,53228160,53228160,53228160,0.125,3.5\n"
    )


def test_each_row_is_there_when_append_returns(path: Path) -> None:
    with MetricsWriter(path, ["entropy"]) as writer:
        assert read_metrics(path) == []
        for round in range(1, 4):
            writer.append(later(round))
            assert read_metrics(path) == [full(later(r)) for r in range(1, round + 1)]


def test_first_row_fixes_the_columns(path: Path) -> None:
    with MetricsWriter(path) as writer:
        writer.append({**INITIAL, "b": None, "a": 1})
        with pytest.raises(RunDirectoryError, match="has no column entropy"):
            writer.append(later(1))
        writer.append({"round": 1, "a": 2})
    assert list(read_metrics(path)[0]) == [*COLUMNS, "b", "a"]
    assert [row["a"] for row in read_metrics(path)] == [1, 2]


def test_rounds_only_rise(path: Path) -> None:
    write(path, [INITIAL, {"round": 2}])
    with MetricsWriter(path) as writer:
        for round in (0, 2):
            with pytest.raises(RunDirectoryError, match="already has round 2"):
                writer.append({"round": round})
        writer.append({"round": 3})
    assert [row["round"] for row in read_metrics(path)] == [0, 2, 3]


def test_numpy_numbers(path: Path) -> None:
    write(path, [{"round": np.int64(1), "seconds": np.float32(0.1), "a": np.array(3), "b": True}])  # type: ignore[dict-item]
    [row] = read_metrics(path)
    assert (row["round"], row["seconds"], row["a"], row["b"]) == (1, float(np.float32(0.1)), 3, 1)
    assert isinstance(row["a"], int)


@pytest.mark.parametrize("value", ["high", [1], 1j, b"1"])
def test_other_values_are_refused_and_nothing_is_written(path: Path, value: Any) -> None:
    with MetricsWriter(path) as writer, pytest.raises(TypeError, match="a metric is a number"):
        writer.append({"round": 1, "x": value})
    assert path.read_bytes() == b""


def test_special_floats(path: Path) -> None:
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": -0.0}
    write(path, [{"round": 0, **values}])
    assert path.read_text().endswith(",nan,inf,-inf,-0.0\n")
    [row] = read_metrics(path)
    assert repr({name: row[name] for name in values}) == repr(values)


def test_column_names_that_would_break_the_file(path: Path) -> None:
    for names in (["a\nb"], ["a\x00"], [""], ["\ud800"], ["a", "a"]):
        with pytest.raises(ValueError, match="column"):
            MetricsWriter(path, names)
    write(path, [{"round": 0, 'say "a, b"': 1, "größe": 2}])
    [row] = read_metrics(path)
    assert (row['say "a, b"'], row["größe"]) == (1, 2)


cells = st.none() | st.integers() | st.floats()
columns = st.lists(
    st.text(min_size=1).filter(lambda name: name.isprintable() and name not in COLUMNS),
    unique=True,
    max_size=4,
)


@settings(deadline=None)
@given(st.data())
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("metrics") / "metrics.csv"
    extra = data.draw(columns)
    names = [*COLUMNS[1:], *extra]
    numbers = data.draw(st.lists(st.integers(0, 10**6), unique=True, max_size=5).map(sorted))
    rows: list[Row] = [
        {"round": number, **data.draw(st.dictionaries(st.sampled_from(names), cells))} for number in numbers
    ]
    write(path, rows, extra)
    # repr tells 1 from 1.0, 0.0 from -0.0, and finds nan equal to itself
    assert repr(read_metrics(path)) == repr([full(row, tuple(extra)) for row in rows])


def test_truncation_at_any_byte_reads_whole_rows_and_can_be_continued(path: Path) -> None:
    rows = [INITIAL, later(1), later(2)]
    write(path, rows, ["entropy"])
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        left = max(0, sum(end <= size for end in ends) - 1)
        assert read_metrics(path) == [full(row) for row in rows[:left]]
        write(path, rows[left:], ["entropy"])
        assert path.read_bytes() == whole


@settings(deadline=None)
@given(position=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "metrics.csv"
    write(path, [INITIAL, later(1), later(2)], ["entropy"])
    data = bytearray(path.read_bytes())
    data[position % len(data)] = byte
    path.write_bytes(data)
    with contextlib.suppress(RunDirectoryError):
        read_metrics(path)


def test_block_of_zeros_at_the_end_is_dropped(path: Path) -> None:
    write(path, [INITIAL])
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(100) + b"\n")
    assert len(read_metrics(path)) == 1
    MetricsWriter(path).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        *(b"a,b\n1,2\n3,4\n", b"round,round\n1,1\n", b"\n", b"\xff\n", b'"round\n'),
        *(b"round,a\n1,x\n2,3\n", b"round,a\n1\n2,3\n", b"round,a\n2,1\n2,1\n3,1\n", b"round,a\n,1\n2,1\n"),
        *(b"round,a\n1.5,1\n2,1\n", b"round,a\n1,1_0\n2,1\n", b"round,a\n\n2,1\n"),
    ],
)
def test_damage_elsewhere_than_at_the_end_is_an_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match="is damaged: line"):
        read_metrics(path)
    with pytest.raises(RunDirectoryError, match="is damaged: line"):
        MetricsWriter(path)
    assert path.read_bytes() == content


def test_missing_file(path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="No such file"):
        read_metrics(path)
    truncate_metrics(path, 3)
    assert not path.exists()


def test_resume_checks_the_columns(path: Path) -> None:
    write(path, [INITIAL], ["entropy", "ratio"])
    MetricsWriter(path).close()
    MetricsWriter(path, ["ratio", "entropy"]).close()  # the file's order holds
    with pytest.raises(RunDirectoryError) as caught:
        MetricsWriter(path, ["entropy", "norm"])
    assert "has no column norm and has a column ratio that the run does not measure" in caught.value.message
    assert "resume with the config" in caught.value.hint


def test_truncating_continues_as_if_never_stopped(path: Path) -> None:
    rows = [INITIAL, *map(later, range(1, 6))]
    write(path, rows, ["entropy"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    truncate_metrics(path, 2)
    with MetricsWriter(path, ["entropy"]) as writer:
        assert [row["round"] for row in read_metrics(path)] == [0, 1, 2]
        for row in rows[3:]:
            writer.append(row)
    assert path.read_bytes() == whole


def test_truncating_before_the_first_row_leaves_the_header(path: Path) -> None:
    write(path, [INITIAL, later(1)], ["entropy"])
    header = path.read_bytes().split(b"\n")[0] + b"\n"
    truncate_metrics(path, -1)
    assert path.read_bytes() == header
    write(path, [INITIAL])
    assert len(read_metrics(path)) == 1


@pytest.mark.parametrize("size", [0, 1, 50])
def test_part_of_a_row_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    write(path, [INITIAL], ["entropy"])
    before = path.read_bytes()
    pwrite = os.pwrite
    parts = iter([size])

    def full_disk(descriptor: int, data: bytes, offset: int) -> int:
        for part in parts:
            return pwrite(descriptor, data[:part], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with MetricsWriter(path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full_disk)
            with pytest.raises(RunDirectoryError, match=r"metrics\.csv: No space left"):
                writer.append(later(1))
        assert path.read_bytes() == before
        writer.append(later(1))  # space was freed
    assert [row["round"] for row in read_metrics(path)] == [0, 1]


def test_closed_writer(path: Path) -> None:
    writer = MetricsWriter(path)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append(INITIAL)
