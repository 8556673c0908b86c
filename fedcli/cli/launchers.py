"""Hydra's launchers and sweepers: which extra brings one, and how many jobs run side by side with it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from fedcli.errors import ConfigError
from fedcli.extras import how_to_install
from fedcli.runtime.local import available_cores

#: By choice, the package that brings it and fedcli's extra that installs that.
_PLUGINS = {
    "hydra/launcher=joblib": ("hydra_joblib_launcher", "joblib"),
    "hydra/launcher=submitit_local": ("hydra_submitit_launcher", "submitit"),
    "hydra/launcher=submitit_slurm": ("hydra_submitit_launcher", "submitit"),
    "hydra/launcher=ray": ("hydra_ray_launcher", "ray"),
    "hydra/launcher=ray_aws": ("hydra_ray_launcher", "ray"),
    "hydra/sweeper=optuna": ("hydra_optuna_sweeper", "optuna"),
}

#: The sweeper that runs each combination of values.
BASIC = "BasicSweeper"
#: The sweeper that searches with Optuna.
OPTUNA = "OptunaSweeper"


@dataclass(frozen=True)
class Spread:
    """How a launcher spreads a sweep's jobs.

    Attributes:
        side_by_side: Whether jobs run in processes of their own, else one after another in this one.
        cores: Cores that each job has for itself; None for all that its process may use.
        starts_ray: Whether the launcher starts a Ray on this machine.
    """

    side_by_side: bool
    cores: int | None = None
    starts_ray: bool = False


def refuse_missing(overrides: Sequence[str]) -> None:
    """Refuses launchers and sweepers that are not installed.

    Raises:
        ConfigError: One is not; it names the extra.
    """
    for override in overrides:
        package, extra = _PLUGINS.get(override, ("", ""))
        if package and not _is_installed(package):
            raise ConfigError(f"{override}: not installed", how_to_install(extra))


def plugin_choices(group: str) -> list[str]:
    """Lists the choices of a group of Hydra's own config, `hydra/launcher` or `hydra/sweeper`; none of other groups."""
    choices = [choice.partition("=")[2] for choice in _PLUGINS if choice.startswith(f"{group}=")]
    return ["basic", *choices] if choices else []


def check_spread(launcher: DictConfig, sweeper: DictConfig) -> None:
    """Refuses keys of the launcher and the sweeper that say how many jobs run at once, where none would.

    Raises:
        ConfigError: A value makes no sense.
    """
    at_once = launcher.get("n_jobs")
    if class_name(launcher) == "JoblibLauncher" and (type(at_once) is not int or at_once == 0):
        raise ConfigError(
            f"hydra.launcher.n_jobs={_shown(at_once)}: must be a number of processes, or -1 for one on each core",
            "write hydra.launcher.n_jobs=2",
        )
    batch = sweeper.get("max_batch_size")
    if class_name(sweeper) == BASIC and batch is not None and batch < 1:
        raise ConfigError(
            f"hydra.sweeper.max_batch_size={batch}: must be at least 1, or null for all jobs in one batch",
            "leave it out, or write hydra.sweeper.max_batch_size=10",
        )
    for key in ("n_trials", "n_jobs") if class_name(sweeper) == OPTUNA else ():
        if int(sweeper.get(key) or 0) < 1:
            raise ConfigError(
                f"hydra.sweeper.{key}={sweeper.get(key)}: must be at least 1", f"write hydra.sweeper.{key}=1"
            )


def spread_of(launcher: DictConfig, jobs: int | None) -> Spread:
    """Tells how a launcher spreads jobs.

    Args:
        launcher: Hydra's config of the launcher.
        jobs: At most so many run side by side; None if that is not known.
    """
    cores = available_cores()
    match class_name(launcher):
        case "BasicLauncher":
            return Spread(side_by_side=False)
        case "JoblibLauncher":
            at_once = int(launcher.n_jobs)
            # As joblib counts: -1 for all cores, -2 for all but one, ...
            at_once = at_once if at_once > 0 else max(1, cores + 1 + at_once)
            if at_once == 1:
                return Spread(side_by_side=False)  # joblib then starts no process
            return Spread(side_by_side=True, cores=max(1, cores // min(at_once, jobs or at_once)))
        case "LocalLauncher":  # submitit's: all jobs at once, each in a process
            share = launcher.get("cpus_per_task")
            return Spread(side_by_side=True, cores=int(share) if share else max(1, cores // (jobs or cores)))
        case "RayLauncher":
            share = OmegaConf.select(launcher, "ray.remote.num_cpus", default=None)
            address = OmegaConf.select(launcher, "ray.init.address", default=None) or os.environ.get("RAY_ADDRESS")
            return Spread(side_by_side=True, cores=max(1, int(share or 1)), starts_ray=address in (None, "local"))
    # A scheduler gives each job its machine, or cores that the job's process can count itself.
    return Spread(side_by_side=True)


def class_name(plugin: DictConfig) -> str:
    """Returns the name of the class that a launcher or a sweeper is made of."""
    return str(plugin.get("_target_")).rpartition(".")[2]


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.{package}") is not None
    except ModuleNotFoundError:  # there are no plugins at all
        return False
