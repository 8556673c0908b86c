"""What studies of this folder have in common: runs that are made once each, resumed, and read again."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from fedcli.runs.directory import RunDirectory  # noqa: E402
from fedcli.runs.metrics import Row, read_metrics  # noqa: E402
from fedcli.runs.record import read_record  # noqa: E402

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Study:
    """Runs that differ in nothing but what is studied.

    Attributes:
        title: Heading of its table.
        command: What every run has in common.
        settings: Overrides by the row's name; the first is the baseline.
        seeds: Seeds of each.
    """

    title: str
    command: str
    settings: Mapping[str, str]
    seeds: Sequence[int] = SEEDS


def arguments(description: str, out: str, studies: Mapping[str, object]) -> argparse.ArgumentParser:
    """Makes the command line of a benchmark that makes runs.

    Args:
        description: What it does.
        out: Name of the folder in `outputs` that runs are made in.
        studies: Its studies, by name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / out, help="where the runs are")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, with a thread each")
    parser.add_argument("--only", nargs="*", help="make the runs of these rows only")
    parser.add_argument("--seeds", nargs="*", type=int, help="make the runs of these seeds only")
    parser.add_argument(
        "--study", nargs="*", choices=studies, default=list(studies), help="make the runs of these only"
    )
    parser.add_argument("--report", action="store_true", help="make no runs")
    return parser


def make_runs(
    study: Study, folder: Path, jobs: int, only: Sequence[str] | None = None, seeds: Sequence[int] | None = None
) -> None:
    """Makes the runs that are missing and goes on with those that are not finished."""
    # By seed, so that all rows have a first result early.
    wanted = [
        (name, seed)
        for seed in study.seeds
        for name in study.settings
        if (not only or name in only) and (not seeds or seed in seeds)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(_make_run, study, folder, name, seed) for name, seed in wanted]:
            future.result()


def completed(study: Study, folder: Path, name: str) -> dict[int, RunDirectory]:
    """Returns the completed runs of a row, by seed."""
    runs = {seed: _run(folder, name, seed) for seed in study.seeds}
    return {
        seed: run for seed, run in runs.items() if run.is_recorded and read_record(run.run_json).status == "completed"
    }


def failures(study: Study, folder: Path) -> list[str]:
    """Lists the runs that failed, with the reason, as items of a list."""
    lines = []
    for name in study.settings:
        for seed in study.seeds:
            run = _run(folder, name, seed)
            record = read_record(run.run_json) if run.is_recorded else None
            if record is not None and record.error is not None and record.status == "failed":
                lines.append(f"- {name}, seed {seed}: {record.error['message']}")
    return lines


def last_accuracy(table: Sequence[Row], count: int) -> float:
    """Returns the mean of a run's last evaluations."""
    return statistics.mean([value for row in table if (value := row["eval/accuracy"]) is not None][-count:])


def tables(runs: Iterable[RunDirectory]) -> list[list[Row]]:
    """Reads the metrics of runs."""
    return [read_metrics(run.metrics_csv) for run in runs]


def _make_run(study: Study, folder: Path, name: str, seed: int) -> None:
    run = _run(folder, name, seed)
    if run.is_recorded:
        if read_record(run.run_json).status == "completed":
            return
        command = [study.command.split()[0], "--resume", str(run.path)]
    else:
        overrides = [*study.settings[name].split(), f"seed={seed}", "runtime.threads=1", f"hydra.run.dir='{run.path}'"]
        command = [*study.command.split(), *overrides]
    done = subprocess.run([sys.executable, "-m", "fedcli", *command, "-q"], cwd=ROOT, capture_output=True, text=True)
    print(
        f"{name}, seed {seed}: {'done' if done.returncode == 0 else done.stderr.strip()}", file=sys.stderr, flush=True
    )


def _run(folder: Path, name: str, seed: int) -> RunDirectory:
    slug = "".join(c if c.isalnum() else "-" for c in name)
    return RunDirectory(folder.resolve() / slug / str(seed))
