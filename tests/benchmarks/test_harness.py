from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness
from benchmarks.cases import ROUNDS
from benchmarks.environments import NotInstalled
from benchmarks.harness import Harness
from benchmarks.lineup import Lineup
from benchmarks.processes import SideError
from benchmarks.results import Results
from benchmarks.rounds import UnequalWork


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """References that were measured; one peer does not install, TFF and another have difficulties."""
    names: list[str] = []

    def compare(lineup: Lineup, plan: Path, pair: tuple[str, str], turns: Any) -> dict[str, Any]:
        names.append(pair[1])
        if pair[1] == "tff":
            raise UnequalWork("steps_by_round differ: fedcli [6], tff [5]")
        if pair[1] == "fedjax":
            raise SideError("ended with exit code 1")
        return {"pairs": [[1.0, 2.0]] * turns.repeats, "work": {}}

    def python(self: Lineup, name: str) -> Path:
        if name == "pfl-2":
            raise NotInstalled("it does not install: no such package")
        return Path("python")

    monkeypatch.setattr(harness, "compare_rounds", compare)
    monkeypatch.setattr(Lineup, "python", python)
    monkeypatch.setattr(harness, "end_descendants", lambda: None)
    monkeypatch.setattr(Harness, "plan", lambda self, workload: self.scratch)
    return names


def _measure(tmp_path: Path, key: str = "cnn-10") -> dict[str, Any]:
    results = Results(tmp_path / "results.json")
    lineup = Lineup(tmp_path, tmp_path)
    Harness(lineup, results, 5, {"source": "a"}, tmp_path, say=lambda text: None).measure([key])
    return results.cases[key]["comparisons"]


def test_every_reference_of_a_case_has_a_result(tmp_path: Path, asked: list[str]) -> None:
    found = _measure(tmp_path)
    assert list(found) == list(ROUNDS["cnn-10"].references)
    assert asked == [name for name in found if name != "pfl-2"]
    assert len(found["clients"]["pairs"]) == 5
    assert found["clients"]["target"] == 1.0
    assert found["pfl-2"]["skipped"] == "it does not install: no such package"
    assert found["tff"]["failed"].startswith("steps_by_round differ")
    assert found["fedjax"]["failed"] == "ended with exit code 1"


def test_a_second_run_measures_only_what_failed(tmp_path: Path, asked: list[str]) -> None:
    _measure(tmp_path)
    asked.clear()
    _measure(tmp_path)
    assert asked == ["tff", "fedjax"]


def test_a_whole_case_is_measured_once(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def sweep(setting: Any) -> dict[str, Any]:
        calls.append(setting.repeats)
        if len(calls) == 1:
            raise SideError("ended with exit code 2")
        return {"eight": {"measure": "whole command", "pairs": [[1.0, 2.0]]}}

    monkeypatch.setitem(harness.MEASURES, "sweep", sweep)
    assert _measure(tmp_path, "sweep")["all"]["failed"] == "ended with exit code 2"
    assert set(_measure(tmp_path, "sweep")) == {"all", "eight"}
    assert set(_measure(tmp_path, "sweep")) == {"all", "eight"}
    assert calls == [5, 5]
