"""What became of a sweep's jobs, read from their folders; sweep.csv, the same as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from filelock import FileLock

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import storage_errors, write_text
from fedcli.runs.csv_cells import safe_cell
from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import RunRecord, read_record
from fedcli.runs.result import read_result
from fedcli.runs.sweep import SweepDirectory, SweepRecord, read_sweep, sweep_of

#: `killed`: run.json says `running`, but its process is gone. `elsewhere`: it says so of another machine.
#: `not run`: the job has not begun.
JobStatus = Literal["completed", "interrupted", "failed", "running", "killed", "elsewhere", "damaged", "not run"]

_TOTALS = ("rounds", "broadcasted_bits", "aggregated_bits", "seconds")
#: Seconds to wait for another job that writes sweep.csv, which takes a few milliseconds.
_PATIENCE = 60.0
#: Of a running job's metrics.csv, so many bytes at its end are read.
_TAIL = 16384


@dataclass(frozen=True)
class Job:
    """One job of a sweep, as its folder tells.

    Attributes:
        number: Counted from 0; the name of its folder.
        overrides: Its KEY=VALUE arguments.
        run: Its folder.
        status: What became of it.
        problem: In words, what keeps it from being completed; empty for a completed one.
        hint: What to do about it, if the job said so.
        result: What result.json says, for a completed one.
    """

    number: int
    overrides: list[str]
    run: RunDirectory
    status: JobStatus
    problem: str = ""
    hint: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Returns the job as JSON."""
        return {
            "job": self.number,
            "status": self.status,
            "overrides": self.overrides,
            "run": str(self.run),
            "final": self.result.get("final", {}),
            "best": self.result.get("best", {}),
            **{name: self.result.get(name) for name in _TOTALS},
            "error": None if not self.problem else {"message": self.problem, "hint": self.hint},
        }


def read_jobs(sweep: SweepDirectory, record: SweepRecord) -> list[Job]:
    """Reads what became of each job; of a search, of those that have begun."""
    numbers = range(len(record.jobs)) if record.jobs is not None else sweep.numbers()
    return [read_job(sweep, record, number) for number in numbers]


def read_job(sweep: SweepDirectory, record: SweepRecord, number: int) -> Job:
    """Reads what became of one job."""
    run = sweep.job(number)
    planned = record.jobs[number] if record.jobs is not None else []
    if not run.is_recorded:
        return Job(number, planned, run, "not run", "it was not begun")
    try:
        run_record = read_record(run.run_json)
    except RunDirectoryError as error:
        return Job(number, planned, run, "damaged", error.message, error.hint)
    overrides = planned or run_record.overrides
    status, problem = _judge(run_record)
    result: dict[str, Any] = {}
    if status == "completed":
        try:
            result = read_result(run.result_json)
        except RunDirectoryError as error:
            return Job(number, overrides, run, "damaged", error.message, error.hint)
    return Job(number, overrides, run, status, problem, (run_record.error or {}).get("hint", ""), result)


def last_round(run: RunDirectory) -> int | None:
    """Reads how far a run is, without reading all of a long metrics.csv; None before its first row."""
    try:
        if not run.metrics_csv.is_file():  # opening a FIFO would wait
            return None
        with open(run.metrics_csv, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    # What follows the last line end is half written.
    cell = lines[-2].partition(b",")[0] if len(lines) > 1 else b""
    return int(cell) if cell.isdigit() else None


def write_table(sweep: SweepDirectory, record: SweepRecord) -> list[Job]:
    """Writes sweep.csv anew; jobs that end at the same time do so one after another.

    Returns:
        The jobs that it tells of.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    with storage_errors(sweep.table_lock), FileLock(sweep.table_lock, timeout=_PATIENCE):
        jobs = read_jobs(sweep, record)
        write_text(sweep.sweep_csv, table(jobs))
    return jobs


def update_table_of(run: RunDirectory) -> None:
    """Writes sweep.csv anew where a run that was resumed by itself is a sweep's job; otherwise does nothing.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    sweep = sweep_of(run)
    if sweep is not None:
        try:
            record = read_sweep(sweep.sweep_json)
        except RunDirectoryError:
            return  # another program's, or damaged: what reads it says so
        write_table(sweep, record)


def table(jobs: Sequence[Job]) -> str:
    """Returns the jobs as CSV: `job`, a column for each override's key, `status`, metrics, totals, `error`, `run`."""
    overrides = [dict(_assignment(override) for override in job.overrides) for job in jobs]
    keys = list(dict.fromkeys(key for row in overrides for key in row))
    metrics = list(dict.fromkeys(name for job in jobs for name in job.result.get("final", {})))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    # A run may be so long that `rounds` is an override and a total: then it is told once, as the override.
    totals = [name for name in _TOTALS if name not in keys]
    writer.writerow(["job", *keys, "status", *metrics, *totals, "error", "run"])
    for job, row in zip(jobs, overrides, strict=True):
        final = job.result.get("final", {})
        writer.writerow(
            [
                job.number,
                *(safe_cell(row.get(key, "")) for key in keys),
                job.status,
                *(_cell(final.get(name)) for name in metrics),
                *(_cell(job.result.get(name)) for name in totals),
                safe_cell(job.problem),
                safe_cell(str(job.run)),
            ]
        )
    return buffer.getvalue()


def _judge(record: RunRecord) -> tuple[JobStatus, str]:
    if record.status == "completed":
        return "completed", ""
    if record.status != "running":
        return record.status, (record.error or {}).get("message", "") or record.status
    alive = record.is_alive()
    if alive is None:
        return "elsewhere", f"runs, or ran, on {record.process.hostname if record.process else 'another machine'}"
    if alive:
        return "running", f"process {record.process.pid} still runs it" if record.process else "still runs"
    return "killed", "its process was killed"


def _assignment(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def _cell(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
