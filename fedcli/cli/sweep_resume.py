"""Finds the sweep to resume, and tells which of its jobs are still to be done."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from fedcli.cli.arguments import Arguments
from fedcli.cli.console import output
from fedcli.cli.kinds import kind_of
from fedcli.cli.replay import replayed
from fedcli.cli.resume import CHANGEABLE, refuse_changes, saved_config
from fedcli.cli.sweep_plan import SweepPlan, composed_jobs, plain, plan_sweep
from fedcli.config.schema import TrainConfig
from fedcli.errors import ConfigError, FedcliError, RunDirectoryError
from fedcli.runs.inputs import differences
from fedcli.runs.ownership import is_own
from fedcli.runs.record import read_record
from fedcli.runs.sweep import SweepDirectory, SweepRecord, find_sweeps, read_sweep
from fedcli.runs.sweep_jobs import Job, last_round, read_job, read_jobs
from fedcli.shell import shown_path


def resumed_plan(arguments: Arguments) -> SweepPlan | None:
    """Plans to go on with the sweep that `--resume` means.

    Args:
        arguments: What was typed; `resume` is a sweep's folder, or `auto` for the newest of the same command and
            overrides.

    Returns:
        None if `auto` finds none.

    Raises:
        FedcliError: There is no such sweep, it cannot be resumed, or its jobs are others than before.
    """
    if arguments.resume == "auto":
        planned = plan_sweep(arguments)
        _refuse_search(planned)
        found = _newest(planned)
        if found is None:
            return None
        sweep, record = found
        output.say(f"resuming {shown_path(sweep.path)}")
        # In the order of before, which numbers the jobs; with what may be changed as it is now.
        overrides = [*_fixed(record.overrides), *_free(arguments.overrides)]
    else:
        sweep = SweepDirectory(Path(str(arguments.resume)))
        record = _record_at(sweep, arguments)
        command = f"fedcli {record.command} -m --resume {shown_path(sweep.path)}"
        recorded = replayed(sweep.sweep_json, record.overrides, arguments.overrides, command)
        overrides = [*recorded, *arguments.overrides]
    plan = plan_sweep(dataclasses.replace(arguments, overrides=overrides), sweep.path)
    _refuse_search(plan)
    before, now = _identities(record), _identities(plan.record)
    if before != now:
        other = next((job for job in now if job not in before), now[0] if now else [])
        raise ConfigError(
            f"{sweep.path} has other jobs: {' '.join(other)} is none of them",
            "resume it with the overrides that it began with (or none), or start a new sweep",
        )
    return dataclasses.replace(plan, record=dataclasses.replace(plan.record, started=record.started))


def finished_jobs(plan: SweepPlan) -> frozenset[int]:
    """Returns the jobs of a resumed sweep that need not run again.

    Raises:
        ConfigError: A job's config has changed in a key that a resumed run may not change, or is shorter than the job.
        RunDirectoryError: A job's folder is damaged.
    """
    length = kind_of(plan.record.command).length
    finished = set()
    for number, config in enumerate(composed_jobs(plan)):
        job = read_job(plan.sweep, plan.record, number)
        if job.status == "damaged":
            raise RunDirectoryError(job.problem, f"remove {shown_path(job.run.path)} to run the job again")
        _refuse_incomplete(job)
        if isinstance(config, FedcliError):
            # It could not run now; if it is done, it need not.
            if job.status == "completed":
                finished.add(number)
        elif job.run.config_yaml.is_file():
            saved = saved_config(job.run, type(config))
            refuse_changes(job.run, saved, config)
            _refuse_shorter(job, length, getattr(config, length))
            if job.status == "completed" and getattr(saved, length) == getattr(config, length):
                finished.add(number)
            else:
                _refuse_other_data(job, config)
    return frozenset(finished)


def _refuse_incomplete(job: Job) -> None:
    """Refuses a job's folder that has files of a run without those that say what the run is."""
    needed = [path for path in (job.run.run_json, job.run.config_yaml) if not path.is_file()]
    # A job that was refused, or killed before it wrote its config, has its run.json only.
    if needed and (left := set(job.run.files_of_a_run()) - {"run.json"}):
        raise RunDirectoryError(
            f"{needed[0]} is missing, and {', '.join(sorted(left))} belongs to it",
            f"restore it from a copy, or remove {shown_path(job.run.path)} to run the job again",
        )


def _refuse_shorter(job: Job, key: str, length: int) -> None:
    """Refuses fewer rounds (or epochs) than a job has done."""
    done = last_round(job.run)
    if done is not None and done > length:
        raise ConfigError(
            f"{key}={length}: {shown_path(job.run.path)} has done {done} {key} already", f"set {key} to at least {done}"
        )


def _refuse_other_data(job: Job, config: Any) -> None:
    """Refuses to go on with a job on other data, before any job goes on; the job itself checks its other inputs."""
    if not isinstance(config, TrainConfig):
        return  # a text, which is read when the job begins
    data = {"data": {"sha256": config.dataset.fingerprint()}}
    if changed := differences(read_record(job.run.run_json).inputs, data):
        raise ConfigError(
            f"{shown_path(job.run.path)} was made with other inputs: {'; '.join(changed)}",
            "restore what the sweep began with, or start a new sweep",
        )


def _newest(planned: SweepPlan) -> tuple[SweepDirectory, SweepRecord] | None:
    """Finds the newest sweep of the same user, command and overrides that no process runs.

    A sweep with completed jobs that would go on, since more rounds are asked for, is left alone unless its folder is
    named.
    """
    candidates = [planned.sweep] if planned.sweep.is_recorded else []
    found = []
    for sweep in (*candidates, *find_sweeps(planned.output_dir)):
        if not is_own(sweep.path, sweep.sweep_json):
            continue
        try:
            record = read_sweep(sweep.sweep_json)
        except RunDirectoryError:
            continue
        same = sorted(_fixed(record.overrides)) == sorted(_fixed(planned.record.overrides))
        if record.command != planned.record.command or not same or record.is_alive():
            continue
        is_named = sweep == planned.sweep
        if is_named or _length(record) == _length(planned.record) or not _has_completed(sweep, record):
            found.append((record.started, str(sweep), sweep, record))
    return max(found)[2:] if found else None


def _length(record: SweepRecord) -> list[str]:
    """Returns the override that says how long the jobs are, if there is one."""
    key = kind_of(record.command).length
    return [plain(override) for override in record.overrides if plain(override).partition("=")[0] == key][-1:]


def _has_completed(sweep: SweepDirectory, record: SweepRecord) -> bool:
    return any(job.status == "completed" for job in read_jobs(sweep, record))


def _record_at(sweep: SweepDirectory, arguments: Arguments) -> SweepRecord:
    if not sweep.is_recorded:
        below = sorted(shown_path(found.path) for found in find_sweeps(sweep.path))
        raise RunDirectoryError(
            f"{sweep}: no sweep to resume",
            f"sweeps below it: {', '.join(below[-3:])}" if below else "give a sweep's folder, or --resume alone",
        )
    record = read_sweep(sweep.sweep_json)
    if record.command != arguments.command:
        raise RunDirectoryError(
            f"{sweep} was made by fedcli {record.command}",
            f"go on with: fedcli {record.command} -m --resume {shown_path(sweep.path)}",
        )
    return record


def _refuse_search(plan: SweepPlan) -> None:
    if plan.is_search:
        raise ConfigError(
            f"--resume does not go with {plan.sweeper}, whose jobs depend on each other",
            "Optuna keeps its study with hydra.sweeper.storage=sqlite:///study.db hydra.sweeper.study_name=NAME",
        )


def _identities(record: SweepRecord) -> list[list[str]]:
    return [sorted(_fixed(job)) for job in record.jobs or []]


def _fixed(overrides: Sequence[str]) -> list[str]:
    """Returns the overrides that say which jobs there are and what they come to."""
    return [plain(override) for override in overrides if not _is_free(override)]


def _free(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if _is_free(override)]


def _is_free(override: str) -> bool:
    """Tells whether an override may be another when a sweep is resumed: see CHANGEABLE; and how jobs are spread."""
    parsed = OverridesParser.create().parse_override(override)
    key = plain(parsed.get_key_element())
    if key.startswith(("hydra/launcher", "hydra.launcher.", "hydra.sweep.")):
        return True
    # A key that is swept over tells jobs apart.
    return not parsed.is_sweep_override() and (key in CHANGEABLE or key == "logger" or key.startswith("logger."))
