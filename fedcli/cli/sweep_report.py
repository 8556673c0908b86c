"""Tells how a sweep ended: which jobs are not done and why, and what to do next."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedcli.cli.console import output
from fedcli.cli.progress import duration
from fedcli.errors import FedcliError, Interrupted
from fedcli.runs.sweep import SweepDirectory, SweepRecord
from fedcli.runs.sweep_jobs import Job, JobStatus
from fedcli.shell import shell_word, shown_path

#: The order in which outcomes are counted up.
_ORDER: tuple[JobStatus, ...] = ("failed", "damaged", "killed", "interrupted", "running", "elsewhere", "not run")


def report_sweep(
    sweep: SweepDirectory,
    record: SweepRecord,
    jobs: Sequence[Job],
    *,
    seconds: float,
    finished: int,
    interrupted: bool,
    config_dirs: Sequence[Path] = (),
) -> None:
    """Reports the end of a sweep.

    Args:
        sweep: Its folder.
        record: The sweep.
        jobs: What became of its jobs.
        seconds: How long it took.
        finished: Jobs that were completed before.
        interrupted: Whether the user asked it to stop.
        config_dirs: What `--config-dir` gave, for the command that resumes.

    Raises:
        FedcliError: Not all jobs are completed.
    """
    left = [job for job in jobs if job.status != "completed"]
    document: dict[str, Any] = {
        "sweep": str(sweep),
        "command": record.command,
        "status": "interrupted" if interrupted else "failed" if left else "completed",
        "jobs": [job.document() for job in jobs],
    }
    done = len(jobs) - len(left)
    before = f" ({finished} of them before)" if finished else ""
    took = f" in {duration(seconds)}" if finished < len(jobs) else ""
    output.say(f"done:    {done} of {len(jobs)} jobs{took}{before}")
    if not output.json:
        for job in left:
            sys.stderr.write(f"{job.status + ':':<8} {_described(job, record)}\n")
    if best := _best(sweep):
        output.say(f"best:    {' '.join(best['overrides'])}: {best['value']:.6g}")
        document["best"] = best
    folder = shown_path(sweep.path)
    output.say(
        f"sweep:   {folder} ({sweep.sweep_csv.name} has a row for each job)\n"
        f"compare: fedcli compare {folder}\n"
        f"curves:  tensorboard --logdir {folder}"
    )
    if not left:
        if output.json:
            output.document(document)
        return
    error = _error(left, record, len(jobs), interrupted)
    # A search is not resumed: its jobs depend on each other.
    error.hint = (
        " ".join(
            [
                f"go on with: fedcli {record.command} -m",
                *(f"--config-dir {shell_word(path)}" for path in config_dirs),
                f"--resume {folder}",
            ]
        )
        if record.jobs is not None
        else f"compare what is done: fedcli compare {folder}"
    )
    error.details = document
    raise error


def _best(sweep: SweepDirectory) -> dict[str, Any] | None:
    """Reads what Optuna found, if the sweep was its search for one objective: `overrides` and their `value`."""
    try:
        found = OmegaConf.to_container(OmegaConf.load(sweep.path / "optimization_results.yaml"))
    except (OSError, OmegaConfBaseException):
        return None
    if not isinstance(found, dict) or "best_value" not in found:
        return None
    params = found.get("best_params") or {}
    return {
        "overrides": [f"{str(key).lstrip('+')}={value}" for key, value in params.items()],
        "value": found["best_value"],
    }


def _error(left: Sequence[Job], record: SweepRecord, total: int, interrupted: bool) -> FedcliError:
    counts = Counter(job.status for job in left)
    listed = ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts[status])
    message = f"{len(left)} of the sweep's {total} jobs are not done: {listed}"
    return Interrupted(f"stopped; {message}") if interrupted else FedcliError(message)


def _described(job: Job, record: SweepRecord) -> str:
    """Names a job in a line: number, folder, overrides, what is wrong."""
    overrides = " ".join(record.differing(job.overrides))
    problem = " ".join(job.problem.split())
    return f"job {job.number + 1} in {shown_path(job.run.path)} ({overrides}): {problem}"
