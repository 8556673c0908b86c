"""What a sweep is going to do: its folder, its jobs, and how they are spread."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from fedcli.cli.experiment import Arguments, request_of
from fedcli.cli.hydra_bridge import HydraRequest, composed_sweep, config_errors, to_typed
from fedcli.cli.kinds import kind_of
from fedcli.cli.launchers import Spread, refuse_missing, spread_of
from fedcli.cli.quoting import quoted
from fedcli.config.objective import check_objective
from fedcli.errors import ConfigError, FedcliError, UsageError
from fedcli.passwords import refuse_passwords
from fedcli.runs.directory import RunDirectory
from fedcli.runs.process import Process
from fedcli.runs.sweep import SweepDirectory, SweepRecord

#: The sweeper that runs each combination of values.
_BASIC = "BasicSweeper"
_OPTUNA = "OptunaSweeper"


@dataclass(frozen=True)
class SweepPlan:
    """A sweep that may begin.

    Attributes:
        request: For Hydra.
        sweep: Its folder.
        record: What sweep.json is to say.
        spread: How its jobs run.
        output_dir: Folder that sweeps are made in.
        sweeper: Name of the class that chooses the jobs' overrides.
        typed_jobs: Each job's overrides, in the form that Hydra takes; None where they are not known.
    """

    request: HydraRequest
    sweep: SweepDirectory
    record: SweepRecord
    spread: Spread
    output_dir: Path
    sweeper: str
    typed_jobs: list[list[str]] | None

    @property
    def is_search(self) -> bool:
        """Whether jobs are chosen by what earlier ones came to, so not known before."""
        return self.typed_jobs is None


def plan_sweep(arguments: Arguments, folder: Path | None = None) -> SweepPlan:
    """Plans a sweep; runs and writes nothing.

    Args:
        arguments: What was typed.
        folder: The sweep's folder; None for the one that the config says.

    Raises:
        UsageError: An argument is wrong.
        ConfigError: The config is wrong.
    """
    # Of a key that is given twice, the last counts, in the place of the first, which numbers the jobs.
    merged = {plain(override.partition("=")[0]): override for override in arguments.overrides}
    arguments = dataclasses.replace(arguments, overrides=list(merged.values()))
    refuse_missing(arguments.overrides)
    for override in arguments.overrides:
        if override.lstrip("+").startswith("hydra.sweep.subdir="):
            raise UsageError(
                f"{override}: a sweep's jobs are in numbered folders", "leave it out; hydra.sweep.dir is the sweep's"
            )
    run_id = RunDirectory.new_id()
    extra = ["hydra.sweep.subdir=${hydra.job.num}"]
    with composed_sweep(request_of(arguments, run_id, extra)) as (_, config):
        # Hydra writes the config of each job, and its own, before fedcli sees the job: a YAML file may hold a password.
        refuse_passwords(OmegaConf.to_container(config, resolve=False))
        # The time in the folder's name is read once: what Hydra is told later is the path.
        folder = folder or Path(str(config.hydra.sweep.dir))
        check_objective(str(config.get("objective")))
        sweeper = str(config.hydra.sweeper.get("_target_")).rpartition(".")[2]
        task = [*_sweeper_params(config), *config.hydra.overrides.task]
        overrides = OverridesParser.create().parse_overrides(task)
        jobs = _jobs(overrides) if sweeper == _BASIC else None
        total = len(jobs) if jobs is not None else _trials(config, sweeper)
        record = SweepRecord(
            arguments.command,
            list(arguments.overrides),
            list(sys.argv),
            jobs=None if jobs is None else [list(map(plain, job)) for job in jobs],
            total=total,
            keys=list(dict.fromkeys(plain(one.get_key_element()) for one in overrides if one.is_sweep_override())),
            process=Process.current(),
        )
        at_once = total if jobs is not None else int(config.hydra.sweeper.get("n_jobs") or 1)
        spread = spread_of(config.hydra.launcher, at_once)
        request = request_of(arguments, run_id, [*extra, f"hydra.sweep.dir={quoted(str(folder.absolute()))}"])
        return SweepPlan(request, SweepDirectory(folder), record, spread, Path(str(config.output_dir)), sweeper, jobs)


def composed_jobs(plan: SweepPlan) -> list[Any]:
    """Composes and checks the config of each job.

    Returns:
        For each job its typed config, or the error that the job is going to end with.
    """
    kind = kind_of(plan.record.command)
    result: list[Any] = []
    with composed_sweep(plan.request) as (loader, config):
        for overrides in plan.typed_jobs or []:
            try:
                job = loader.load_sweep_config(config, overrides)
                OmegaConf.set_struct(job, False)
                del job["hydra"]
                result.append(kind.check(to_typed(job, kind.schema, sweep=True)))
            except FedcliError as error:
                result.append(error)
    return result


def plain(override: str) -> str:
    """Returns an override as it is typed, without what `checked_overrides` put before it for Hydra."""
    return override.lstrip("+")


def _jobs(overrides: Sequence[Override]) -> list[list[str]]:
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ConfigError(
                f"{plain(override.input_line or '')}: a range has no list of values to run",
                "list the values, or search in it with hydra/sweeper=optuna",
            )
    with config_errors():
        (jobs,) = BasicSweeper.split_arguments(list(overrides), None)
    return jobs


def _sweeper_params(config: DictConfig) -> list[str]:
    """Lists what a YAML file sweeps over, in the form of arguments."""
    params = config.hydra.sweeper.get("params") or {}
    return [f"{key}={value}" for key, value in params.items()]


def _trials(config: DictConfig, sweeper: str) -> int | None:
    sampler = str(OmegaConf.select(config, "hydra.sweeper.sampler._target_", default=""))
    if sweeper != _OPTUNA or sampler.endswith("GridSampler"):
        return None
    try:
        return int(config.hydra.sweeper.n_trials)
    except (ValueError, HydraException):
        return None
