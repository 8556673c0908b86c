"""The folder of a sweep: `sweep.json` says which jobs there are, a numbered folder holds the run of each.

The truth about a job is in its run's folder, so that it survives the borders and the deaths of processes: jobs may
run in other processes or on other machines, and whoever wants to know what became of them reads the folders.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import damaged, read_json, storage_errors, write_json, write_text
from fedcli.runs.directory import RunDirectory
from fedcli.runs.process import Process

_log = logging.getLogger(__name__)

#: Raised when a reader of the old form would misunderstand the new one.
SCHEMA_VERSION = 1

#: Why no more jobs begin. `failed`: a job failed, and the sweep is to end at the first; jobs that run go on.
#: `interrupted`: the user asked to stop; jobs that run stop after their round. `now`: they stop at once.
StopReason = Literal["failed", "interrupted", "now"]


@dataclass(frozen=True)
class SweepDirectory:
    """The folder of one sweep: names its files, and tells its jobs to stop.

    Attributes:
        path: The folder. It need not exist yet.
    """

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", Path(path))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def sweep_json(self) -> Path:
        """Command, overrides and jobs."""
        return self.path / "sweep.json"

    @property
    def sweep_csv(self) -> Path:
        """One row a job: overrides, status, final metrics, folder."""
        return self.path / "sweep.csv"

    @property
    def lock(self) -> Path:
        """Exists while a process runs the sweep."""
        return self.path / ".lock"

    @property
    def table_lock(self) -> Path:
        """Held by the job that writes sweep.csv."""
        return self.path / ".sweep.csv.lock"

    @property
    def is_recorded(self) -> bool:
        """Whether the folder has a sweep.json, so is a sweep beyond doubt."""
        return self.sweep_json.is_file()

    def job(self, number: int) -> RunDirectory:
        """Returns the folder of a job's run; jobs are counted from 0."""
        return RunDirectory(self.path / str(number))

    def numbers(self) -> list[int]:
        """Lists the jobs that have a folder."""
        with storage_errors(self.path, "read"):
            return sorted(int(entry.name) for entry in os.scandir(self.path) if _is_number(entry.name))

    def ask_to_stop(self, reason: StopReason) -> None:
        """Lets no more jobs begin. What is asked first stays, unless it is now asked for more.

        Raises:
            RunDirectoryError: The folder cannot be written.
        """
        before = self.stop_reason()
        if before is None or get_args(StopReason).index(reason) > get_args(StopReason).index(before):
            write_text(self._stop, reason)

    def stop_reason(self) -> StopReason | None:
        """Returns why no more jobs begin, None if they do."""
        try:
            text = self._stop.read_text()
        except OSError:
            return None
        return text if text in get_args(StopReason) else "interrupted"  # type: ignore[return-value]

    def forget_stop(self) -> None:
        """Lets jobs begin again.

        Raises:
            RunDirectoryError: The folder cannot be written.
        """
        with storage_errors(self._stop):
            self._stop.unlink(missing_ok=True)

    @property
    def _stop(self) -> Path:
        return self.path / ".stop"


@dataclass(frozen=True)
class SweepRecord:
    """What sweep.json says.

    Attributes:
        command: The fedcli command: `train`, ...
        overrides: Its KEY=VALUE arguments, as typed.
        argv: The command line.
        started: When the sweep first began, ISO 8601 in UTC.
        jobs: Each job's overrides; None where they are known only as they begin, as in a search.
        total: The number of jobs; None where not even that is known.
        keys: The keys in which the jobs differ.
        process: Who runs the sweep, while it runs.
        schema_version: Form of the file.
    """

    command: str
    overrides: list[str]
    argv: list[str] = field(default_factory=list)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
    jobs: list[list[str]] | None = None
    total: int | None = None
    keys: list[str] = field(default_factory=list)
    process: Process | None = None
    schema_version: int = SCHEMA_VERSION

    def is_alive(self) -> bool | None:
        """Tells whether the process that runs the sweep still lives; None if that is on another machine."""
        return False if self.process is None else self.process.is_alive()

    def differing(self, overrides: Sequence[str]) -> list[str]:
        """Returns those of a job's overrides in which it differs from other jobs; all, if it does in none."""
        return [override for override in overrides if override.partition("=")[0] in self.keys] or list(overrides)


def write_sweep(path: Path, record: SweepRecord) -> None:
    """Writes sweep.json whole or not at all.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    document = asdict(record)
    write_json(path, {"schema_version": document.pop("schema_version"), **document})


def read_sweep(path: Path) -> SweepRecord:
    """Reads sweep.json. Keys that this version does not know are ignored.

    Raises:
        RunDirectoryError: The file cannot be read, is damaged, or has the form of a later fedcli.
    """
    document = read_json(path)
    version = document.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunDirectoryError(f"{path} was written by a later fedcli (schema {version})", "upgrade fedcli")
    for name, is_valid in _CHECKS.items():
        if not is_valid(document.get(name)):
            raise damaged(path, f"{name} is {document.get(name)!r}")
    process = document["process"]
    if process is not None:
        document["process"] = Process(
            process["pid"], process["start_ticks"], str(process["boot_id"]), str(process["hostname"])
        )
    return SweepRecord(**{name: document[name] for name in _CHECKS})


def sweep_of(run: RunDirectory) -> SweepDirectory | None:
    """Returns the sweep of which a run's folder is a job, there or not; None for other runs."""
    sweep = SweepDirectory(run.path.parent)
    return sweep if _is_number(run.path.name) and sweep.is_recorded else None


def find_sweeps(folder: Path) -> Iterator[SweepDirectory]:
    """Finds the sweeps at or below a folder, in no order. Hidden folders and runs are passed over."""
    for root, subfolders, files in os.walk(folder):
        if "sweep.json" in files:
            yield SweepDirectory(root)
        if "sweep.json" in files or "run.json" in files:
            subfolders.clear()  # sweeps do not nest, and a run's checkpoints can be many
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and str(int(name)) == name


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_process(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(isinstance(value.get(name), int) for name in ("pid", "start_ticks"))
        and all(isinstance(value.get(name), str) for name in ("boot_id", "hostname"))
    )


_CHECKS = {
    # A word, since hints show it as a part of commands to paste.
    "command": lambda value: isinstance(value, str) and value.isidentifier(),
    "overrides": _is_texts,
    "argv": _is_texts,
    "started": lambda value: isinstance(value, str),
    "jobs": lambda value: value is None or (isinstance(value, list) and all(map(_is_texts, value))),
    "total": lambda value: value is None or (isinstance(value, int) and value >= 0),
    "keys": _is_texts,
    "process": _is_process,
}
