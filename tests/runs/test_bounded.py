"""Files of run folders that somebody else wrote: no read waits, and none is without an end."""

import os

import pytest

from fedcli.errors import RunDirectoryError
from fedcli.report.load import load_runs
from fedcli.report.yaml_files import parse_value, read_config
from fedcli.runs.atomic import read_json
from fedcli.runs.bounded import read_bounded
from fedcli.runs.csv_cells import safe_cell
from fedcli.runs.metrics import MetricsWriter, read_metrics
from tests.report.synthetic import write_run


def fifo(path):
    os.mkfifo(path)


def zero(path):
    path.symlink_to("/dev/zero")


def huge(path):
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize("make", [fifo, zero, huge])
@pytest.mark.parametrize("read", [read_json, read_metrics, MetricsWriter])
def test_what_is_no_ordinary_file_is_refused(tmp_path, make, read):
    make(tmp_path / "file")
    with pytest.raises(RunDirectoryError, match=r"no regular file|larger than"):
        read(tmp_path / "file")


@pytest.mark.parametrize("make", [fifo, zero, huge])
@pytest.mark.parametrize("name", ["metrics.csv", "run.json", "result.json", "config.yaml"])
def test_a_run_with_such_a_file_is_damaged_for_compare(tmp_path, make, name):
    run = write_run(tmp_path / "a")
    (run / name).unlink()
    make(run / name)
    (found,) = load_runs([tmp_path]).runs
    assert found.status in ("damaged", "half-written")
    assert any(why in found.problem for why in ("regular file", "larger than", "bytes")) or name == "run.json"


def test_no_more_is_read_than_allowed(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bounded(tmp_path / "file", 5) == b"12345"
    with pytest.raises(RunDirectoryError):
        read_bounded(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 4)


def bomb(alias):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    merged = ["m0: &m0 {k0: 1}"]
    merged += [f"m{i}: &m{i} {{k{i}: 1, <<: [{', '.join([f'*m{i - 1}'] * 9)}]}}" for i in range(1, 30)]
    return "\n".join(lines if alias else merged)


@pytest.mark.parametrize(
    "text",
    [bomb(True), bomb(False), "a: &a [*a]", "a: " + "9" * 5000, "a: 0x" + "f" * 5000, "a: " + ":1" * 5000 + "1"],
    ids=["aliases", "merge keys", "itself", "digits", "hexadecimal", "text"],
)
def test_yaml_that_grows_without_end_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    if text.startswith("a: :"):
        assert isinstance(parse_value(text)["a"], str)
        return
    with pytest.raises(ValueError, match=r"alias|hundreds of digits"):
        read_config(tmp_path / "config.yaml")


def test_an_alias_for_a_few_values_is_read():
    assert parse_value("a: &a [1, 2]\nb: *a\nc: 1.5\n") == {"a": [1, 2], "b": [1, 2], "c": 1.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        ("+1+1", "'+1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        (" =1", "' =1"),
        ("-x", "'-x"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\t=1", "\\t=1"),
        # These are numbers, and texts that nobody computes.
        ("-1.5e-3", "-1.5e-3"),
        ("mean", "mean"),
        ("[200, 200]", "[200, 200]"),
        ("", ""),
    ],
)
def test_a_cell_is_computed_by_no_spreadsheet_and_obeyed_by_no_terminal(text, expected):
    assert safe_cell(text) == expected
