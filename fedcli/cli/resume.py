"""Finds the run to resume, and makes sure that it goes on with the config that it began with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedcli.cli.kinds import kind_of
from fedcli.cli.replay import replayed
from fedcli.components.typed import typed
from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.keys.flat import flat
from fedcli.keys.saved import read_saved
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory, find_runs
from fedcli.runs.metrics import last_round
from fedcli.runs.ownership import is_own
from fedcli.runs.record import RunRecord, read_record
from fedcli.runs.result import read_result
from fedcli.runs.sweep import SweepDirectory, sweep_of
from fedcli.runtime import runtimes
from fedcli.shell import shell_word, shown_path

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
    if not run.is_recorded:
        if SweepDirectory(path).is_recorded:
            raise RunDirectoryError(
                f"{path} is a sweep", f"go on with: fedcli {command} -m --resume {shown_path(path)}"
            )
        if run.is_run:
            raise RunDirectoryError(
                f"{path} has no run.json: the run cannot be resumed",
                f"restore run.json from a copy, or start a new run: fedcli {command}",
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
    if not run.config_yaml.is_file() and (left := set(run.files_of_a_run()) - {run.run_json.name}):
        # Without any of these files, the run was killed before it wrote its config, and run.json is all that it needs.
        raise RunDirectoryError(
            f"{run.config_yaml} is missing, and {', '.join(sorted(left))} belongs to it",
            "restore config.yaml from a copy, or start a new run",
        )
    return run, record


def latest_resumable(config: Any, command: str, folders: Sequence[str] = ()) -> tuple[RunDirectory, RunRecord] | None:
    """Returns the newest unfinished run of the same user and config, None if there is none.

    A completed run is left alone, also where it has fewer rounds; so is a job of a sweep, which `-m --resume` goes on
    with.

    Args:
        config: The config.
        command: The fedcli command.
        folders: Folders that come before the runs of `output_dir`.
    """
    below = [path for path in (config.output_dir, *folders) if Path(path).is_dir()]
    for run in reversed(find_runs(below)):
        # Other users' runs in a shared folder are theirs, and what they wrote there is not for this user to go on with.
        if not is_own(run.path, run.run_json, run.config_yaml):
            continue
        try:
            record = read_record(run.run_json)
            saved = saved_config(run, type(config))
        except (RunDirectoryError, ConfigError):
            continue
        unfinished = record.status != "completed" and not record.is_alive() and sweep_of(run) is None
        if record.command == command and unfinished and not changes(saved, config):
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


def refuse_longer_job(run: RunDirectory, before: Any, now: Any, command: str) -> None:
    """Refuses to make one job of a sweep longer or shorter than the others: sweep.json says how long they are.

    Raises:
        ConfigError: The run is a job of a sweep, and another length is asked for.
    """
    sweep = sweep_of(run)
    key = kind_of(command).length
    old, new = getattr(before, key), getattr(now, key)
    if sweep is not None and old != new:
        raise ConfigError(
            f"{key}={new}: {run} is a job of a sweep, with {key}={old}",
            f"resume the sweep: fedcli {command} -m --resume {shown_path(sweep.path)} {shell_word(f'{key}={new}')}",
        )


def has_nothing_to_do(run: RunDirectory, record: RunRecord, before: Any, now: Any) -> bool:
    """Tells whether a run is completed and whole, and nothing that would make it longer or go elsewhere has changed."""
    if record.status != "completed":
        return False
    old, new = (flat(dataclasses.asdict(config)) for config in (before, now))
    longer = ("rounds", "epochs", "patience", "privacy.max_epsilon")
    if any(old.get(key) != new.get(key) for key in (*old, *new) if key in longer or key.startswith("logger.")):
        return False
    try:
        checkpoint = CheckpointStore(run.checkpoints).latest()
        return (
            checkpoint is not None
            and read_result(run.result_json).get("rounds") == checkpoint.round == last_round(run.metrics_csv)
            and run.model_keras.is_file()
        )
    except RunDirectoryError:
        return False


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
    command = f"fedcli {record.command} --resume {shown_path(run.path)}"
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
