"""Keeps new runs, sweeps and reports out of folders that hold a run or a sweep already."""

from __future__ import annotations

import os
from pathlib import Path

from fedcli.errors import ConfigError, RunDirectoryError, UsageError
from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import read_record
from fedcli.runs.sweep import SweepDirectory, read_sweep, sweep_of
from fedcli.shell import shown_path


def refuse_used(folder: Path, key: str, command: str) -> None:
    """Refuses the folder of a new run or sweep that holds one already, or that lies inside of one.

    A run may be beside a sweep's jobs, but not have the number of one.

    Args:
        folder: The folder, which need not exist.
        key: The key that chose it, `hydra.run.dir` or `hydra.sweep.dir`.
        command: The fedcli command, for the hint.

    Raises:
        ConfigError: The folder is used.
    """
    other = f"choose another folder: {key}=PATH"
    is_sweep = key == "hydra.sweep.dir"
    shown = shown_path(folder)
    if SweepDirectory(folder).is_recorded:
        raise ConfigError(
            f"{key}={shown}: the folder holds a sweep already",
            f"go on with the sweep: fedcli {command} -m --resume {shown}, or {other}",
        )
    run = RunDirectory(folder)
    if run.is_recorded:
        raise ConfigError(
            f"{key}={shown}: the folder holds a run already",
            f"go on with the run: fedcli {command} --resume {shown}, or {other}",
        )
    if left := run.files_of_a_run():
        raise ConfigError(f"{key}={shown}: the folder holds files of a run already, {', '.join(left)}", other)
    if outer := _run_or_sweep_above(folder, sweeps=is_sweep or sweep_of(run) is not None):
        raise ConfigError(f"{key}={shown}: the folder is inside of {outer}, which holds a run or a sweep", other)


def refuse_in_a_run(file: Path, option: str) -> None:
    """Refuses to write a file into the folder of a run: nothing but the run itself changes it.

    Args:
        file: The file, which need not exist.
        option: The option that names it.

    Raises:
        UsageError: The file is in such a folder.
    """
    if run := _run_or_sweep_above(file, sweeps=False):
        raise UsageError(
            f"{option} {shown_path(file)}: {run} is a run's folder, and not for other files",
            f"choose another place: {option} {shown_path(file.name)}",
        )


def _run_or_sweep_above(path: Path, *, sweeps: bool) -> str | None:
    for parent in Path(os.path.abspath(path)).parents:
        try:
            # Read, since another program may have files of these names.
            if RunDirectory(parent).is_recorded:
                read_record(RunDirectory(parent).run_json)
                return shown_path(parent)
            if sweeps and SweepDirectory(parent).is_recorded:
                read_sweep(SweepDirectory(parent).sweep_json)
                return shown_path(parent)
        except RunDirectoryError:
            continue
    return None
