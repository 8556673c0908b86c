"""Reads run folders as they are found: whole, half written, broken, still written to, or another program's."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fedcli.errors import RunDirectoryError, UsageError
from fedcli.masking import masked_all
from fedcli.report.yaml_files import read_config
from fedcli.runs.bounded import MOST_JSON, MOST_METRICS, read_bounded
from fedcli.runs.directory import RunDirectory, find_runs
from fedcli.runs.metrics import Row, read_metrics
from fedcli.runs.record import RunRecord, read_record
from fedcli.runs.result import read_result

_log = logging.getLogger(__name__)

#: `killed`: run.json says `running`, but its process is gone. `elsewhere`: it says so of another machine, where
#: nobody can look from here. `half-written`: killed before run.json was written. `damaged`: a file makes no sense.
Status = Literal[
    "completed", "interrupted", "failed", "running", "killed", "elsewhere", "half-written", "damaged", "repeat"
]

#: Whole numbers beyond it cannot be computed with: no float holds them.
_LARGEST = 10**300

#: A config.yaml without run.json that has none of these is another program's.
_OUR_KEYS = {"rounds", "seed", "output_dir"}


@dataclass(frozen=True)
class Run:
    """One run, as far as it can be read.

    Attributes:
        folder: Where it is, as found.
        status: How it ended, or what is wrong with it. Only `completed` runs enter means.
        problem: In words, what keeps it out of the means; empty for a completed run.
        record: run.json, where it can be read.
        config: config.yaml as dotted keys; empty where it cannot be read.
        rows: metrics.csv; empty where it cannot be read.
    """

    folder: Path
    status: Status
    problem: str = ""
    record: RunRecord | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def seed(self) -> int | None:
        """The seed of its random choices."""
        seed = self.config.get("seed")
        if isinstance(seed, int) and not isinstance(seed, bool):
            return seed
        return None if self.record is None else self.record.seed


@dataclass(frozen=True)
class Loaded:
    """What was found.

    Attributes:
        runs: Every run, sound or not, in the order of `find_runs`.
        foreign: Folders that hold files of the same names by another program.
    """

    runs: list[Run]
    foreign: list[Path]


def load_runs(paths: Iterable[str | os.PathLike[str]]) -> Loaded:
    """Loads all runs at or below paths.

    Raises:
        UsageError: A path does not exist, or there is no run at all.
    """
    paths = list(paths)
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"{path}: no such run or folder", "give runs, or folders that hold runs, such as outputs")
    try:
        found = find_runs(paths)
    except RunDirectoryError as error:
        raise UsageError(error.message, error.hint) from error
    foreign = [run for run in found if _is_foreign(run)]
    runs = [_load(run) for run in found if run not in foreign]
    if not runs:
        where = ", ".join(map(str, paths))
        passed = f" ({len(foreign)} of another program passed over)" if foreign else ""
        raise UsageError(f"{where}: no runs found{passed}", "give runs, or folders that hold runs, such as outputs")
    return Loaded(runs, [run.path for run in foreign])


def _load(directory: RunDirectory) -> Run:
    record: RunRecord | None = None
    config: dict[str, Any] = {}
    rows: list[Row] = []
    problems: list[str] = []
    try:
        record = read_record(directory.run_json) if directory.is_recorded else None
    except RunDirectoryError as error:
        problems.append(_reason(error, directory))
    try:
        config = read_config(directory.config_yaml)
    except RunDirectoryError as error:
        problems.append(_reason(error, directory))
    except (OSError, ValueError) as error:
        problems.append(f"config.yaml: {_first_line(error)}")
    try:
        # An empty file is what a run leaves that was killed before its first row.
        rows = read_metrics(directory.metrics_csv)
        if any(type(value) is int and abs(value) > _LARGEST for row in rows for value in row.values()):
            rows = []
            raise ValueError("metrics.csv: a whole number of hundreds of digits")
    except (RunDirectoryError, ValueError) as error:
        problems.append(_reason(error, directory))
    if record is not None and record.status == "completed" and not problems:
        problems += _incomplete(directory, rows)
    # Records of older releases may hold passwords in URLs, and a report is for others to read.
    config = masked_all(config)
    if record is not None:
        record.argv, record.overrides = masked_all(record.argv), masked_all(record.overrides)
        record.error = masked_all(record.error)
    status, problem = _judge(record, problems, is_recorded=directory.is_recorded)
    return Run(directory.path, status, problem, record, config, rows)


def _judge(record: RunRecord | None, problems: list[str], *, is_recorded: bool) -> tuple[Status, str]:
    """Says in one word, and in words, what a run is."""
    why = "; ".join(problems)
    if record is None:
        if is_recorded:
            return "damaged", why
        return "half-written", f"no run.json; {why}" if why else "no run.json"
    if record.status == "completed":
        if problems:
            return "damaged", why
        return "completed", ""
    if record.status != "running":
        return record.status, (record.error or {}).get("message", "") or why
    alive = record.is_alive()
    if alive is None:
        host = record.process.hostname if record.process else "another machine"
        return "elsewhere", f"runs, or ran, on {host}"
    if alive:
        return "running", "still running"
    return "killed", "its process is gone; --resume takes it up again"


def _incomplete(directory: RunDirectory, rows: list[Row]) -> list[str]:
    """Tells what a run that says it completed has lost since."""
    if not rows:
        return ["metrics.csv has no rows"]
    if gap := next((index for index, row in enumerate(rows) if row["round"] != index), None):
        return [f"metrics.csv has no row of round {gap}"]
    if not directory.result_json.exists():
        return []
    try:
        rounds = read_result(directory.result_json).get("rounds")
    except RunDirectoryError as error:
        return [_reason(error, directory)]
    last = rows[-1]["round"]
    if isinstance(rounds, int) and rounds != last:
        return [f"metrics.csv ends after round {last}, result.json says {rounds}"]
    return []


def _is_foreign(directory: RunDirectory) -> bool:
    """Tells whether another program wrote these files. In doubt they are ours: better listed than lost."""
    try:
        if directory.is_recorded:
            document = json.loads(read_bounded(directory.run_json, MOST_JSON))
            return not isinstance(document, dict) or not ({"schema_version", "command", "status"} & document.keys())
        if directory.config_yaml.is_file():
            config = read_config(directory.config_yaml)
            return not (_OUR_KEYS & config.keys())
        text = read_bounded(directory.metrics_csv, MOST_METRICS).decode()
        header = next(csv.reader(text.splitlines()), None)
        return header is not None and "round" not in header
    except (OSError, ValueError, RecursionError, csv.Error, RunDirectoryError):
        return False


def _reason(error: Exception, directory: RunDirectory) -> str:
    """The message without the folder, which is shown beside it."""
    return _first_line(error).replace(f"{directory.path}{os.sep}", "")


def _first_line(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    return " ".join(str(error).split())[:200]
