"""Measures cases and keeps what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, ROUNDS, RoundsCase
from benchmarks.environments import NotInstalled
from benchmarks.lineup import Lineup
from benchmarks.machine import ROOT, others
from benchmarks.processes import SideError, end_descendants
from benchmarks.results import Results
from benchmarks.rounds import Turns, UnequalWork, compare_rounds
from benchmarks.sides.protocol import SETTINGS
from benchmarks.whole import MEASURES, Setting, comparison
from benchmarks.workload import Workload


class PlanError(Exception):
    """The work cannot be written down, for example since the data set cannot be reached; the message says why."""


@dataclass(frozen=True)
class Harness:
    """Measures cases one after the other.

    Attributes:
        lineup: Starts sides.
        results: Keeps what is measured.
        repeats: Pairs of each comparison.
        conditions: What a measurement depends on; what was measured under others is measured again.
        scratch: Empty folder for plans and runs.
        say: Tells people how far it is.
        rounds_share: 1, or less to try things out with fewer rounds.
    """

    lineup: Lineup
    results: Results
    repeats: int
    conditions: Mapping[str, Any]
    scratch: Path
    say: Callable[[str], None]
    rounds_share: float = 1.0

    def measure(self, keys: Sequence[str]) -> None:
        """Measures cases: of each what is not there yet."""
        for key in keys:
            self.results.begin(key, {**self.conditions, "repeats": self.repeats, "rounds_share": self.rounds_share})
            began = time.perf_counter()
            if key in ROUNDS:
                self._measure_rounds(key, ROUNDS[key])
            else:
                self._measure_whole(key)
            self.say(f"{key}: {CASES[key].title}: {time.perf_counter() - began:.0f} s")

    def _measure_rounds(self, key: str, case: RoundsCase) -> None:
        turns = Turns(self.repeats, max(1, round(case.block * self.rounds_share)))
        plan: Path | None = None
        for reference, target in case.references.items():
            if self.results.has(key, reference):
                continue
            if plan is None:
                plan = self.plan(replace(case.workload, rounds=turns.rounds))
            facts = self._facts()
            names = ("fedcli", reference)
            result = comparison("a round", "s", names, [], target)
            began = time.perf_counter()
            try:
                self.lineup.python(reference)  # before the other side is started, which would wait for it
                measured = compare_rounds(self.lineup, plan, names, turns)
            except NotInstalled as error:
                measured = {"skipped": str(error)}
            except (SideError, UnequalWork) as error:
                measured = {"failed": str(error)}
            finally:
                end_descendants()
            self._keep(key, reference, {**result, **measured, **facts}, began)

    def _measure_whole(self, key: str) -> None:
        # Its comparisons are measured together: there is either all of them, or the case is measured anew.
        if self.results.has(key, "all"):
            return
        facts = self._facts()
        began = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                setting = Setting(self.lineup, self.repeats, Path(folder), self.plan, self.rounds_share)
                measured = MEASURES[key](setting)
        except SideError as error:
            self._keep(key, "all", {"failed": str(error), **facts}, began)
            return
        finally:
            end_descendants()
        for name, result in measured.items():
            self._keep(key, name, {**result, **facts}, began)
        self._keep(key, "all", facts, began)

    def plan(self, workload: Workload) -> Path:
        """Writes the plan of a workload, unless it is written, and returns its folder.

        Raises:
            PlanError: It cannot be written.
        """
        text = json.dumps(asdict(workload))
        for folder in self.scratch.glob("plan-*"):
            if (folder / "workload.json").read_text() == text:
                return folder
        folder = Path(tempfile.mkdtemp(prefix="plan-", dir=self.scratch))
        (folder / SETTINGS).write_text(text)
        command = [sys.executable, "-m", "benchmarks.export", str(folder)]
        done = subprocess.run(command, cwd=ROOT, env=self.lineup.environment(), capture_output=True, text=True)
        if done.returncode:
            raise PlanError(f"the plan cannot be written: {' / '.join(done.stderr.strip().splitlines()[-2:])}")
        (folder / "workload.json").write_text(text)
        return folder

    def _facts(self) -> dict[str, Any]:
        return {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "others": round(others(), 2)}

    def _keep(self, case: str, name: str, result: Mapping[str, Any], began: float) -> None:
        took = round(time.perf_counter() - began, 1)
        self.results.add(case, name, {**result, "took": took})
        outcome = result.get("failed") or result.get("skipped")
        if name != "all" or outcome:
            self.say(f"{case}/{name}: {outcome or 'measured'} ({took} s)")
