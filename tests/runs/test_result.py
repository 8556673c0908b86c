import json
import math
from pathlib import Path

import pytest

from fedcli.errors import RunDirectoryError
from fedcli.runs.metrics import Row
from fedcli.runs.result import read_result, summarise, write_result

ROWS: list[Row] = [
    {"round": 0, "eval/loss": 2.3, "eval/accuracy": 0.1, "train/loss": None, "seconds": 0.5},
    {
        "round": 1,
        "train/loss": 2.0,
        "eval/loss": 1.5,
        "eval/accuracy": 0.8,
        "broadcasted_bits": 10,
        "seconds": 1.0,
    },
    {
        "round": 2,
        "train/loss": 1.0,
        "eval/loss": 1.25,
        "eval/accuracy": 0.8,
        "broadcasted_bits": 20,
        "seconds": 1.0,
    },
    {
        "round": 3,
        "train/loss": 0.5,
        "eval/loss": None,
        "broadcasted_bits": 30,
        "aggregated_bits": 3,
        "entropy": 2.5,
    },
]


def test_summary() -> None:
    assert summarise(ROWS) == {
        "rounds": 3,
        "final": {"eval/loss": 1.25, "eval/accuracy": 0.8, "train/loss": 0.5, "entropy": 2.5},
        "best": {
            "eval/accuracy": {"value": 0.8, "round": 1},
            "eval/loss": {"value": 1.25, "round": 2},
        },
        "broadcasted_bits": 30,
        "aggregated_bits": 3,
        "seconds": 2.5,
    }


def test_no_rows() -> None:
    assert summarise([]) == {
        "rounds": 0,
        "final": {},
        "best": {},
        "broadcasted_bits": None,
        "aggregated_bits": None,
        "seconds": 0.0,
    }


def test_a_run_that_diverged(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"round": 0, "eval/loss": -math.inf, "eval/accuracy": math.nan},
        {"round": 1, "eval/loss": 2.0, "eval/accuracy": 0.0},
        {"round": 2, "eval/loss": math.nan, "eval/accuracy": math.nan, "seconds": math.nan},
    ]
    result = summarise(rows)
    assert result["best"] == {
        "eval/accuracy": {"value": 0.0, "round": 1},
        "eval/loss": {"value": 2.0, "round": 1},
    }
    assert result["seconds"] == 0.0
    path = tmp_path / "result.json"
    write_result(path, {**result, "list": [math.inf, (1,)]})
    document = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert document["final"] == {"eval/loss": None, "eval/accuracy": None}
    assert document["list"] == [None, [1]]
    assert read_result(path) == document


def test_nothing_finite_has_no_best() -> None:
    assert summarise([{"round": 0, "eval/loss": math.nan, "eval/accuracy": None}])["best"] == {}


def test_damaged_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(RunDirectoryError, match=r"result\.json is damaged"):
        read_result(tmp_path / "result.json")
