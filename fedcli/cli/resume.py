"""Finds the run to resume, and makes sure that it goes on with the config that it began with."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedcli.cli.kinds import kind_of
from fedcli.cli.replay import replayed
from fedcli.config.flat import flat
from fedcli.config.saved import read_saved
from fedcli.config.typed import typed
from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.runs.directory import RunDirectory, find_runs
from fedcli.runs.ownership import is_own
from fedcli.runs.record import RunRecord, read_record
from fedcli.runs.sweep import SweepDirectory
from fedcli.runtime import runtimes
from fedcli.shell import shown_path

#: Keys that a resumed run may change: they do not touch what was measured before.
CHANGEABLE = {
    "rounds",
    "epochs",
    "patience",
    "overwrite",
    "objective",
    "cache_dir",
    "output_dir",
    "eval.every",
    "checkpoint.every",
    "checkpoint.keep",
    "privacy.max_epsilon",
    "dataset.origin",
    "dataset.cache_dir",
    "runtime.threads",
    "runtime.cache",
    "runtime.start_timeout",
    "runtime.address",
    "runtime.workers",
    "runtime.num_cpus",
    "runtime.num_gpus",
    "runtime.data",
    "runtime.call_timeout",
    "runtime.tries",
    "logger.name",  # and all other keys of the group
}

#: Runtimes that a resumed run may change between: their numbers are the same, bit for bit.
_EXCHANGEABLE = {"local", "ray"}


def run_to_resume(path: str, command: str) -> tuple[RunDirectory, RunRecord]:
    """Returns the run at a path.

    Raises:
        RunDirectoryError: There is no run, or another command made it.
    """
    run = RunDirectory(Path(path))
    if not run.is_recorded or not run.config_yaml.is_file():
        if SweepDirectory(path).is_recorded:
            raise RunDirectoryError(
                f"{path} is a sweep", f"go on with: fedcli {command} -m --resume {shown_path(path)}"
            )
        below = [shown_path(found.path) for found in find_runs([path])] if Path(path).is_dir() else []
        raise RunDirectoryError(
            f"{path}: no run to resume",
            f"runs below it: {', '.join(below[-3:])}" if below else "give a run's folder, or --resume auto",
        )
    record = read_record(run.run_json)
    if record.command != command:
        raise RunDirectoryError(
            f"{path} was made by fedcli {record.command}",
            f"go on with: fedcli {record.command} --resume {shown_path(path)}",
        )
    return run, record


def latest_resumable(config: Any, command: str) -> tuple[RunDirectory, RunRecord] | None:
    """Returns the newest unfinished run of the same user and config, None if there is none."""
    if not Path(config.output_dir).is_dir():
        return None
    length = kind_of(command).length
    for run in reversed(find_runs([config.output_dir])):
        # Other users' runs in a shared folder are theirs, and what they wrote there is not for this user to go on with.
        if not is_own(run.path, run.run_json, run.config_yaml):
            continue
        try:
            record = read_record(run.run_json)
            saved = saved_config(run, type(config))
        except (RunDirectoryError, ConfigError):
            continue
        unfinished = record.status != "completed" or getattr(saved, length) < getattr(config, length)
        if record.command == command and unfinished and not record.is_alive() and not changes(saved, config):
            return run, record
    return None


def saved_config(run: RunDirectory, schema: type[Any]) -> Any:
    """Reads the config that a run was made with.

    Args:
        run: The run.
        schema: The dataclass of the config.

    Raises:
        RunDirectoryError: The file cannot be read.
    """
    try:
        plain = read_saved(run.config_yaml)
    except Exception as error:
        raise RunDirectoryError(
            f"{run.config_yaml}: {' '.join(str(error).split())[:200]}", "the file is damaged; start a new run"
        ) from None
    return typed(plain, schema)


def continued(run: RunDirectory, record: RunRecord, now: Sequence[str]) -> list[str]:
    """Joins the overrides of a run, as far as `replay` takes them over, and those that it is resumed with.

    Where it is resumed on another runtime, keys of the first that the other does not have are left out.

    Raises:
        RunDirectoryError: The record holds an override that the user has to type again.
    """
    chosen = [override.partition("=")[2] for override in now if override.startswith("runtime=")]
    before: Sequence[str] = record.overrides
    if chosen and chosen[-1] in runtimes.components:
        known = {f"runtime.{item.name}" for item in dataclasses.fields(runtimes[chosen[-1]])}
        before = [one for one in before if not one.startswith("runtime.") or one.partition("=")[0] in known]
    command = f"fedcli {record.command} --resume {shlex.quote(str(run))}"
    return [*replayed(run.run_json, before, now, command), *now]


def changes(before: Any, now: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the keys, with both values, in which two configs differ and which a resumed run may not change."""
    old, new = (flat(dataclasses.asdict(config)) for config in (before, now))
    return {
        key: (old.get(key), new.get(key))
        for key in (*old, *(key for key in new if key not in old))
        if key not in CHANGEABLE
        and not key.startswith("logger.")
        and old.get(key) != new.get(key)
        and not (key == "runtime.name" and {old.get(key), new.get(key)} <= _EXCHANGEABLE)
    }


def refuse_changes(run: RunDirectory, before: Any, now: Any) -> None:
    """Refuses to resume a run with another config.

    Raises:
        ConfigError: A key has changed that a resumed run may not change.
    """
    keys = sorted(CHANGEABLE.intersection(flat(dataclasses.asdict(now))))
    for key, (old, new) in changes(before, now).items():
        raise ConfigError(
            f"{key}={new}: {run} was made with {key}={old}",
            f"a resumed run may change {', '.join(keys)}; start a new run for another {key}",
        )
