"""Tells how a sweep ended: which jobs are not done and why, and what to do next."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedcli.cli.console import output
from fedcli.cli.hydra_bridge import innermost_reason
from fedcli.cli.progress import duration
from fedcli.columns import Direction
from fedcli.config.objective import objective_value
from fedcli.errors import FedcliError, Interrupted
from fedcli.runs.sweep import SweepDirectory, SweepRecord
from fedcli.runs.sweep_jobs import Job, JobStatus
from fedcli.shell import shell_word, shown_path

#: The order in which outcomes are counted up.
_ORDER: tuple[JobStatus, ...] = ("failed", "damaged", "killed", "interrupted", "running", "elsewhere", "not run")


@dataclass(frozen=True)
class SearchEnd:
    """How a search ended.

    Attributes:
        objective: The metric that it optimizes.
        direction: Which values of it are better; None where the sweeper alone knows.
        wanted: How many trials it was to have; None where that is not known.
        trials: How many have their value, repeated sets of values included; None where that is not known.
        error: What ended it before its time, if anything did.
    """

    objective: str
    direction: Direction | None
    wanted: int | None
    trials: int | None
    error: Exception | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it had all its trials."""
        if self.wanted is None or self.trials is None:
            return self.error is None
        return self.trials >= self.wanted


def report_sweep(
    sweep: SweepDirectory,
    record: SweepRecord,
    jobs: Sequence[Job],
    *,
    seconds: float,
    finished: int,
    interrupted: bool,
    config_dirs: Sequence[Path] = (),
    search: SearchEnd | None = None,
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
        search: How it ended, if it is a search.

    Raises:
        FedcliError: Not all jobs are completed.
    """
    left = [job for job in jobs if job.status != "completed"]
    best = None if search is None else _best(sweep, jobs, search)
    error = _error(left, record, len(jobs), search, best)
    document: dict[str, Any] = {
        "sweep": str(sweep),
        "command": record.command,
        "status": "completed" if error is None else "interrupted" if interrupted else "failed",
        "jobs": [job.document() for job in jobs],
    }
    done = len(jobs) - len(left)
    before = f" ({finished} of them before)" if finished else ""
    took = f" in {duration(seconds)}" if finished < len(jobs) else ""
    output.say(f"done:    {done} of {len(jobs)} jobs{took}{before}")
    if search is not None and search.trials is not None:
        document["trials"] = search.trials
        if search.trials > len(jobs):
            output.say(f"trials:  {search.trials}; a set of values that came again has the value of its first job")
    if not output.json:
        for job in left:
            sys.stderr.write(f"{job.status + ':':<8} {_described(job, record)}\n")
    if best:
        output.say(f"best:    {' '.join(best['overrides'])}: {best['value']:.6g}")
        document["best"] = best
    folder = shown_path(sweep.path)
    output.say(
        f"sweep:   {folder} ({sweep.sweep_csv.name} has a row for each job)\n"
        f"compare: fedcli compare {folder}\n"
        f"curves:  tensorboard --logdir {folder}"
    )
    if error is None:
        if output.json:
            output.document(document)
        return
    if interrupted:
        error = Interrupted(f"stopped; {error.message}")
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


def _best(sweep: SweepDirectory, jobs: Sequence[Job], search: SearchEnd) -> dict[str, Any] | None:
    """Returns the best set of values, `overrides`, and its `value`.

    Optuna's own answer, which knows an earlier search's trials where the study is kept; the best of the jobs where the
    search ended before it gave one.
    """
    try:
        found = OmegaConf.to_container(OmegaConf.load(sweep.path / "optimization_results.yaml"))
    except (OSError, OmegaConfBaseException):
        found = None
    if not isinstance(found, dict) or "best_value" not in found:
        return _best_job(jobs, search)
    params = found.get("best_params") or {}
    return {
        "overrides": [f"{str(key).lstrip('+')}={value}" for key, value in params.items()],
        "value": found["best_value"],
    }


def _best_job(jobs: Sequence[Job], search: SearchEnd) -> dict[str, Any] | None:
    values = [(job, objective_value(search.objective, job.result)) for job in jobs]
    known = [(job, value) for job, value in values if value is not None]
    if not known or search.direction is None:
        return None
    sign = search.direction.sign
    job, value = max(known, key=lambda pair: sign * pair[1])
    return {"overrides": job.overrides, "value": value}


def _error(
    left: Sequence[Job], record: SweepRecord, total: int, search: SearchEnd | None, best: object
) -> FedcliError | None:
    """Says what the sweep did not do; None if it did all."""
    messages = []
    if left:
        counts = Counter(job.status for job in left)
        listed = ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts[status])
        messages.append(f"{len(left)} of the sweep's {total} jobs are not done: {listed}")
    if search is not None and not search.is_complete:
        known = search.wanted is not None and search.trials is not None
        reason = f": {innermost_reason(search.error)}" if search.error else ""
        messages.append(
            f"the search ended after {search.trials} of {search.wanted} trials{reason}"
            if known
            else f"the search ended early{reason}"
        )
    elif search is not None and search.direction is not None and best is None and not left:
        messages.append(f"no job has a value of {search.objective}, so the search found nothing")
    return FedcliError("; ".join(messages)) if messages else None


def _described(job: Job, record: SweepRecord) -> str:
    """Names a job in a line: number, folder, overrides, what is wrong."""
    overrides = " ".join(record.differing(job.overrides))
    problem = " ".join(job.problem.split())
    return f"job {job.number + 1} in {shown_path(job.run.path)} ({overrides}): {problem}"
