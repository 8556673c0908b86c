"""What a sweep is going to do: its folder, its jobs, and how they are spread."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from fedcli.cli.arguments import Arguments, request_of
from fedcli.cli.hydra_bridge import HydraRequest, composed_sweep, config_errors, to_typed
from fedcli.cli.hydra_keys import check_hydra_config
from fedcli.cli.kinds import kind_of
from fedcli.cli.launchers import BASIC, OPTUNA, Spread, check_spread, class_name, refuse_missing, spread_of
from fedcli.cli.quoting import quoted
from fedcli.cli.search import check_plugins, rehearse, search_direction
from fedcli.cli.sweep_values import MOST_JOBS, check_number, number_of_values, with_each_value_once
from fedcli.columns import Direction
from fedcli.config.objective import check_objective
from fedcli.errors import ConfigError, FedcliError, UsageError
from fedcli.keys.location import choices
from fedcli.passwords import refuse_passwords
from fedcli.runs.directory import RunDirectory
from fedcli.runs.process import Process
from fedcli.runs.sweep import SweepDirectory, SweepRecord


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
        objective: The metric that a search optimizes.
        direction: Which values of it the search looks for; None where the sweeper alone knows.
    """

    request: HydraRequest
    sweep: SweepDirectory
    record: SweepRecord
    spread: Spread
    output_dir: Path
    sweeper: str
    typed_jobs: list[list[str]] | None
    objective: str = ""
    direction: Direction | None = None

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
    arguments = dataclasses.replace(arguments, overrides=_last_of_each_key(arguments.overrides))
    refuse_missing(arguments.overrides)
    for override in arguments.overrides:
        if override.lstrip("+").startswith("hydra.sweep.subdir="):
            raise UsageError(
                f"{override}: a sweep's jobs are in numbered folders", "leave it out; hydra.sweep.dir is the sweep's"
            )
    available = choices(arguments.config_dirs)
    arguments = dataclasses.replace(arguments, overrides=with_each_value_once(arguments.overrides, available))
    run_id = RunDirectory.new_id()
    extra = ["hydra.sweep.subdir=${hydra.job.num}"]
    typed = arguments.overrides
    with composed_sweep(request_of(arguments, run_id, extra)) as (loader, config):
        # Hydra writes the config of each job, and its own, before fedcli sees the job: a YAML file may hold a password.
        refuse_passwords(OmegaConf.to_container(config, resolve=False))
        params = _sweeper_params(config)
        if not params:
            return _plan(loader, config, folder, arguments, typed, run_id, extra)
    # Hydra reads them unchecked, below the arguments; as arguments they are checked as these are.
    overrides = _last_of_each_key([*with_each_value_once(params, available), *typed])
    arguments = dataclasses.replace(arguments, overrides=overrides)
    extra.append("hydra.sweeper.params=null")
    with composed_sweep(request_of(arguments, run_id, extra)) as (loader, config):
        return _plan(loader, config, folder, arguments, typed, run_id, extra)


def _plan(
    loader: ConfigLoader,
    config: DictConfig,
    folder: Path | None,
    arguments: Arguments,
    typed: Sequence[str],
    run_id: str,
    extra: Sequence[str],
) -> SweepPlan:
    """Plans a sweep from its composed config."""
    # The time in the folder's name is read once: what Hydra is told later is the path.
    folder = folder or Path(str(config.hydra.sweep.dir))
    extra = [*extra, f"hydra.sweep.dir={quoted(str(folder.absolute()))}"]
    launcher, sweeper = config.hydra.launcher, config.hydra.sweeper
    check_hydra_config(config.hydra)
    check_spread(launcher, sweeper)
    objective = str(config.get("objective"))
    check_objective(objective)
    name = class_name(sweeper)
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    jobs = _jobs(overrides) if name == BASIC else None
    total = len(jobs) if jobs is not None else _trials(config, name)
    record = SweepRecord(
        arguments.command,
        list(typed),
        list(sys.argv),
        jobs=None if jobs is None else [list(map(plain, job)) for job in jobs],
        total=total,
        keys=list(dict.fromkeys(plain(one.get_key_element()) for one in overrides if one.is_sweep_override())),
        process=Process.current(),
    )
    at_once = total if jobs is not None else int(sweeper.get("n_jobs") or 1)
    context = HydraContext(loader, Callbacks())
    check_plugins(config, context)
    direction = None
    if name == OPTUNA:
        direction = search_direction(sweeper, objective, arguments.overrides)
        rehearse(config, direction, context)
        extra.append(f"hydra.sweeper.direction={direction}")
    return SweepPlan(
        request_of(arguments, run_id, extra),
        SweepDirectory(folder),
        record,
        spread_of(launcher, at_once),
        Path(str(config.output_dir)),
        name,
        jobs,
        objective,
        direction,
    )


def _last_of_each_key(overrides: Sequence[str]) -> list[str]:
    """Returns the overrides that count: of a key that is given twice the last, in the place of the first.

    The place numbers the jobs.
    """
    return list({plain(override.partition("=")[0]): override for override in overrides}.values())


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
    number = 1.0
    for override in overrides:
        if not override.is_sweep_override():
            continue
        line = plain(override.input_line or "")
        if not override.is_discrete_sweep():
            raise ConfigError(
                f"{line}: a range has no list of values to run",
                "list the values, or search in it with hydra/sweeper=optuna",
            )
        check_number(override)
        number *= number_of_values(override)
    if number > MOST_JOBS:
        raise ConfigError(f"the values make more than {MOST_JOBS} jobs", "sweep over fewer values")
    with config_errors():
        (jobs,) = BasicSweeper.split_arguments(list(overrides), None)
    return jobs


def _sweeper_params(config: DictConfig) -> list[str]:
    """Lists what a YAML file sweeps over, in the form of arguments."""
    params = config.hydra.sweeper.get("params") if isinstance(config.hydra.sweeper, DictConfig) else None
    if params is None:
        return []
    return [f"{key}={'null' if value is None else value}" for key, value in params.items()]


def _trials(config: DictConfig, sweeper: str) -> int | None:
    sampler = str(OmegaConf.select(config, "hydra.sweeper.sampler._target_", default=""))
    if sweeper != OPTUNA or sampler.endswith("GridSampler"):
        return None
    try:
        return int(config.hydra.sweeper.n_trials)
    except (ValueError, HydraException):
        return None
