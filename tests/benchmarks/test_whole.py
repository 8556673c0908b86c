import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import whole
from benchmarks.environments import NotInstalled
from benchmarks.lineup import Lineup
from benchmarks.processes import Side
from benchmarks.report import report
from benchmarks.sides.protocol import ARRAYS, SETTINGS
from benchmarks.whole import Setting, start_up
from benchmarks.workload import Workload

#: Does the plan's rounds of two steps; with `few`, of one.
_SIDE = """
import json, sys
out = open(sys.argv[1], "w")
def send(**message):
    print(json.dumps(message), file=out, flush=True)
for round in range(1, 12):
    send(event="round", round=round, steps=1 if "few" in sys.argv else 2, examples=4)
send(event="done", accuracy=0.5, loss=None, batch=[2, 1], dtype="float32", versions={})
"""


class Fake(Lineup):
    """Sides that do nothing: FedJAX does too little, Flower is not there."""

    def python(self, name: str) -> Path:
        if name == "flower":
            raise NotInstalled("it does not install: no network")
        return Path(sys.executable)

    def start(self, name: str, plan: Path) -> Side:
        assert name != "flower"
        command = [sys.executable, "-c", _SIDE]
        return Side([*command, "few" if name == "fedjax" else "all"], self.environment(), plan, reports=len(command))


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    def first_rounds(setting: Setting, workload: Workload, name: str) -> tuple[tuple[float, float], dict[str, Any]]:
        assert (setting.lineup.cache / "compiled").exists() == (not name.startswith("cold"))
        (setting.lineup.cache / "compiled").mkdir(exist_ok=True)
        work = {"rounds": 11, "steps": 22, "examples": 44, "batch": [2, 1], "dtype": "float32"}
        return (4.0, 8.0), {**work, "accuracy": 0.5, "loss": 1.0, "versions": {}}

    monkeypatch.setattr(whole, "_first_rounds", first_rounds)
    monkeypatch.setattr(whole, "_import_tensorflow", lambda setting: 2.0)
    monkeypatch.setattr(whole, "end_descendants", lambda: None)
    (tmp_path / "compiled").mkdir()
    (tmp_path / SETTINGS).write_text(json.dumps(asdict(Workload("emnist", "mlp", clients=1, rounds=11, batch_size=2))))
    np.savez(tmp_path / ARRAYS, bounds=np.array([[0, 4]] * 11))
    return Setting(Fake(tmp_path, tmp_path), 2, tmp_path, lambda workload: tmp_path)


def test_start_up_compares_all_that_can_be_compared(setting: Setting) -> None:
    found = start_up(setting)
    assert found["first/import"]["pairs"] == [[4.0, 2.0]] * 2
    assert found["first/cold"]["pairs"] == [[4.0, 4.0]] * 2
    assert [ours for ours, _ in found["ten/pfl"]["pairs"]] == [8.0, 8.0]
    first, tenth = (found[f"{which}/tff"]["pairs"][0][1] for which in ("first", "ten"))
    assert 0 < first <= tenth
    assert found["ten/pfl"]["target"] == 1.3
    assert set(found["ten/pfl"]["work"]) == {"fedcli", "pfl"}


def test_start_up_says_what_is_missing(setting: Setting) -> None:
    found = start_up(setting)
    assert found["ten/flower"]["skipped"] == "it does not install: no network"
    assert found["first/fedjax"]["failed"].startswith("steps differ from the plan's: [1, 1,")
    facts = {"others": 0.0, "measured": "2026-01-01T00:00:00+00:00"}
    case = {
        "conditions": {"machine": dict.fromkeys(("processor", "cores", "memory_gb", "kernel", "python"), "")}
        | {"source": "a", "repeats": 5, "rounds_share": 1.0},
        "comparisons": {name: {**of, **facts} for name, of in found.items()},
    }
    text = report({"start-up": case})
    assert text.count("skipped: it does not install: no network") == 2
    assert text.count("failed: steps differ") == 2
