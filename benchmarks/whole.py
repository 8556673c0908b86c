"""Cases in which whole processes are measured, not rounds: start-up, sweeps, memory, size of the data.

Each function measures one case and returns its comparisons by name, in the form that `benchmarks.harness` keeps.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cases import Target
from benchmarks.commands import Run
from benchmarks.digits_file import ORIGIN
from benchmarks.environments import NotInstalled
from benchmarks.lineup import BY_HAND, PEERS, Lineup
from benchmarks.machine import ROOT
from benchmarks.processes import Side, SideError, end_descendants
from benchmarks.rounds import UnequalWork, work_of
from benchmarks.sides.protocol import Plan
from benchmarks.workload import Workload

Comparisons = dict[str, dict[str, Any]]

#: Rounds of a job of a sweep, and jobs.
_JOB_ROUNDS, _JOBS = 3, 8
#: What limits the CNN's memory, in MB.
_CNN_PEAK = 1200


@dataclass(frozen=True)
class Setting:
    """Where whole processes are measured.

    Attributes:
        lineup: Starts sides.
        repeats: How often each is measured.
        scratch: Empty folder.
        plan: Writes a workload's plan and returns its folder.
        rounds_share: 1, or less to try things out with fewer rounds.
    """

    lineup: Lineup
    repeats: int
    scratch: Path
    plan: Callable[[Workload], Path]
    rounds_share: float = 1.0

    def rounds(self, count: int) -> int:
        """Returns a number of rounds, or less to try things out."""
        return max(2, round(count * self.rounds_share))


def comparison(
    measure: str,
    unit: str,
    names: tuple[str, str],
    pairs: list[list[float]],
    target: Target | None = None,
    **more: object,
) -> dict[str, Any]:
    """Describes a comparison as results.json keeps it.

    Args:
        measure: What is measured.
        unit: In which unit.
        names: The subject and the reference.
        pairs: (subject, reference) of each repeat.
        target: What it must show.
        more: Further facts.
    """
    aim = {} if target is None else {"target": target.ratio, "strictly": target.strictly}
    subject, reference = names
    described = {"measure": measure, "unit": unit, "subject": subject, "reference": reference, "pairs": pairs}
    return {**described, **aim, **more}


def start_up(setting: Setting) -> Comparisons:
    """Measures the time from the start of a process to the end of its first round, and of its tenth."""
    # One more round than is measured: fedcli's last row waits for the evaluation, which the others do after it.
    workload = Workload("emnist", "cnn", clients=10, rounds=11)
    plan = setting.plan(workload)
    taken: dict[str, list[tuple[float, float]]] = {}
    missing: dict[str, dict[str, str]] = {}
    work: dict[str, Any] = {}
    for name in PEERS:
        try:
            setting.lineup.python(name)
        except NotInstalled as error:
            missing[name] = {"skipped": str(error)}
    _first_rounds(setting, workload, "warm-up")  # fetches the data, writes bytecode
    for repeat in range(setting.repeats):
        shutil.rmtree(setting.lineup.cache / "compiled", ignore_errors=True)
        taken.setdefault("fedcli, cold", []).append(_first_rounds(setting, workload, f"cold-{repeat}")[0])
        times, work["fedcli"] = _first_rounds(setting, workload, f"repeated-{repeat}")
        taken.setdefault("fedcli", []).append(times)
        seconds = _import_tensorflow(setting)
        taken.setdefault("import tensorflow", []).append((seconds, seconds))
        for name in [*BY_HAND, "tff", *PEERS]:
            if name in missing:
                continue
            try:
                with setting.lineup.start(name, plan) as side:
                    times = (side.wait_for_round(1) - side.began, side.wait_for_round(10) - side.began)
                    work[name] = work_of(side, workload.rounds)
                _check_steps(plan, work[name])
                taken.setdefault(name, []).append(times)
            except (SideError, UnequalWork) as error:
                missing[name] = {"failed": str(error)}
            end_descendants()

    def compared(first: str, second: str, which: int, target: Target | None) -> dict[str, Any]:
        measure = ("first round done", "ten rounds done")[which]
        names = (first, second)
        if second in missing:
            return comparison(measure, "s", names, [], target, **missing[second])
        pairs = [[a[which], b[which]] for a, b in zip(taken[first], taken[second], strict=True)]
        return comparison(measure, "s", names, pairs, target, work={of: work[of] for of in names if of in work})

    beat = Target(1.0, strictly=True)
    result = {"first/import": compared("fedcli", "import tensorflow", 0, Target(1.5))}
    result["first/cold"] = compared("fedcli", "fedcli, cold", 0, None)
    result["first/cold/tff"] = compared("fedcli, cold", "tff", 0, beat)
    ten = {"tff": beat, "flower": beat, "pfl": Target(1.3)}
    for name in [*BY_HAND, "tff", *PEERS]:
        result[f"first/{name}"] = compared("fedcli", name, 0, beat if name in ("tff", *PEERS) else None)
        result[f"ten/{name}"] = compared("fedcli", name, 1, ten.get(name))
    return result


def sweep(setting: Setting) -> Comparisons:
    """Measures sweeps: of 8 jobs against one run of as many rounds, of one job against that job alone."""
    common = [*Workload("emnist", "cnn", clients=10, rounds=_JOB_ROUNDS, max_test=200).overrides(None), "-q"]
    shared = [of for of in common if not of.startswith(("rounds=", "seed=", "eval.every="))]

    def train(name: str, rounds: int, *more: str) -> float:
        where = setting.scratch / name
        folder = ["-m", f"hydra.sweep.dir='{where}'"] if more else [f"hydra.run.dir='{where}'"]
        seeds = more or ("seed=1",)
        arguments = ["train", *folder[:-1], *shared, f"rounds={rounds}", f"eval.every={rounds}", *seeds, folder[-1]]
        with setting.lineup.fedcli(arguments) as side:
            return side.wait_for_exit()

    seeds = ",".join(map(str, range(1, _JOBS + 1)))
    train("warm-up", _JOB_ROUNDS)
    eight, one = [], []
    for repeat in range(setting.repeats):
        eight.append(
            [
                train(f"eight-{repeat}", _JOB_ROUNDS, f"seed={seeds}"),
                train(f"long-{repeat}", _JOB_ROUNDS * _JOBS),
            ]
        )
        one.append([train(f"one-{repeat}", _JOB_ROUNDS, "seed=1"), train(f"alone-{repeat}", _JOB_ROUNDS)])
    rounds = f"{_JOB_ROUNDS} rounds"
    return {
        "eight": comparison(
            "whole command",
            "s",
            (f"{_JOBS} jobs of {rounds}", f"one run of {_JOB_ROUNDS * _JOBS} rounds"),
            eight,
            Target(1.0),
        ),
        "one": comparison("whole command", "s", (f"a sweep of one job of {rounds}", f"a run of {rounds}"), one),
    }


def memory_mlp(setting: Setting) -> Comparisons:
    """Measures the memory of 1,000 rounds of a small model."""
    return _memory(setting, Workload("emnist", "mlp", clients=10, rounds=1000, max_test=200), 100, limit=None)


def memory_cnn(setting: Setting) -> Comparisons:
    """Measures the memory of the CNN, also against the hand-written loop."""
    workload = Workload("emnist", "cnn", clients=10, rounds=150, max_test=200)
    result = _memory(setting, workload, 50, limit=_CNN_PEAK)
    by_hand = Workload("emnist", "cnn", clients=10, rounds=setting.rounds(10), max_test=200)
    with setting.lineup.start("clients", setting.plan(by_hand)) as side:
        side.wait_for_round(by_hand.rounds)
        _, peak = side.memory()
    fedcli = result["peak"]["pairs"][0][0]
    result["peak/clients"] = comparison("peak", "MB", ("fedcli", "clients"), [[fedcli, peak]])
    return result


def _memory(setting: Setting, workload: Workload, early: int, limit: int | None) -> Comparisons:
    early, late = setting.rounds(early), setting.rounds(workload.rounds)
    if late <= early:
        late = early + 1
    run = Run(
        setting.lineup,
        setting.scratch / "run",
        Workload(**{**vars(workload), "rounds": late}).overrides(None),
    )
    with run:
        run.wait_for_round(early)
        before, _ = run.side.memory()
        run.wait_for_round(late)
        after, peak = run.side.memory()
    rounds = (f"after {late:,} rounds", f"after {early:,} rounds")
    result = {"growth": comparison("resident memory", "MB", rounds, [[after, before]], Target(1.05))}
    if limit is not None:
        target = Target(1.0, strictly=True)
        result["peak"] = comparison("peak", "MB", ("fedcli", "limit"), [[peak, float(limit)]], target)
    return result


def real_size(setting: Setting) -> Comparisons:
    """Measures runs on a file of EMNIST's real size and on the small mirror, five full batches a client."""
    workload = Workload("emnist", "cnn", clients=10, rounds=10, max_batches=5)
    # Writers of the mirror differ in their digits; those with fewer than five batches would have less to do.
    with_enough = setting.plan(Workload(**{**vars(workload), "min_examples": 100}))
    mirror = Plan(with_enough).settings["participants"]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.digits_file"], cwd=ROOT, env=setting.lineup.environment(), check=True
    )

    def measure(name: str, overrides: list[str]) -> tuple[float, float, float]:
        with Run(setting.lineup, setting.scratch / name, overrides) as run:
            first = run.wait_for_round(1)
            last = run.wait_for_round(workload.rounds)
            return first, (last - first) / (workload.rounds - 1), run.side.memory()[1]

    real, small = [], []
    for repeat in range(-1, setting.repeats):
        # The first of each compiles or warms the cache of the disk.
        on_real = measure(f"real-{repeat}", [*workload.overrides(None), f"dataset.origin={ORIGIN}"])
        on_small = measure(f"small-{repeat}", workload.overrides(mirror))
        if repeat >= 0:
            real.append(on_real)
            small.append(on_small)

    def compared(which: int, measure: str, unit: str) -> dict[str, Any]:
        pairs = [[a[which], b[which]] for a, b in zip(real, small, strict=True)]
        return comparison(measure, unit, ("real size", "small mirror"), pairs, Target(1.05))

    return {
        "first": compared(0, "first round done", "s"),
        "round": compared(1, "a round", "s"),
        "peak": compared(2, "peak memory", "MB"),
    }


def _first_rounds(setting: Setting, workload: Workload, name: str) -> tuple[tuple[float, float], dict[str, Any]]:
    """Runs `fedcli train`, and returns the times of its first and tenth round and what it did."""
    plan = Plan(setting.plan(workload))
    with Run(setting.lineup, setting.scratch / name, workload.overrides(None)) as run:
        times = run.wait_for_round(1), run.wait_for_round(10)
        run.wait_for_round(workload.rounds)
        rows = run.rows()[1:]
    # metrics.csv has no steps: they follow from the examples, if those are the plan's.
    expected = [plan.expected(round) for round in range(1, workload.rounds + 1)]
    if [row["train/examples"] for row in rows] != [examples for _, examples in expected]:
        raise SideError("fedcli trained on other examples than the plan has")
    return times, {
        "rounds": workload.rounds,
        "steps": sum(steps for steps, _ in expected),
        "examples": sum(examples for _, examples in expected),
        "batch": [plan.batch_size, *plan.client(1, 0)[0].shape[1:]],
        "dtype": str(plan.weights[0].dtype),
        "accuracy": rows[-1]["eval/accuracy"],
        "loss": rows[-1]["eval/loss"],
        "versions": {package: version(package) for package in ("tensorflow", "tensorflow-federated")},
    }


def _check_steps(plan: Path, work: dict[str, Any]) -> None:
    expected = [Plan(plan).expected(round)[0] for round in range(1, work["rounds"] + 1)]
    if work["steps_by_round"] != expected:
        raise UnequalWork(f"steps differ from the plan's: {work['steps_by_round']}, planned {expected}")


def _import_tensorflow(setting: Setting) -> float:
    with Side([sys.executable, "-c", "import tensorflow"], setting.lineup.environment(), ROOT) as side:
        return side.wait_for_exit()


MEASURES: dict[str, Callable[[Setting], Comparisons]] = {
    "start-up": start_up,
    "sweep": sweep,
    "memory-mlp": memory_mlp,
    "memory-cnn": memory_cnn,
    "real-size": real_size,
}
