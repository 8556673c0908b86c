"""Runs a command's job through Hydra: composes its config, makes its folder, sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus, run_job
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedcli.cli.composed_once import ComposedOnce
from fedcli.cli.hydra_keys import check_hydra_config
from fedcli.cli.named_code import refuse_named_code
from fedcli.components.typed import typed
from fedcli.errors import ConfigError, FedcliError
from fedcli.keys.location import config_folder
from fedcli.runs.atomic import remove_leftovers, storage_errors, write_text

T = TypeVar("T")

#: Keeps Hydra from writing into a job's folder: see `write_record`.
_NO_RECORD = "hydra.output_subdir=null"


@dataclass(frozen=True)
class HydraRequest:
    """What is to be run.

    Attributes:
        config_name: Name of the YAML file at the top: `train`, ...
        overrides: Checked KEY=VALUE arguments.
        run_id: Six hexadecimal digits that end the folder's name.
        config_dirs: Further folders with YAML files.
    """

    config_name: str
    overrides: Sequence[str]
    run_id: str
    config_dirs: Sequence[Path] = field(default_factory=tuple)


def compose(request: HydraRequest, schema: type[T]) -> T:
    """Composes and checks the config without running anything.

    Raises:
        ConfigError: The config is wrong.
    """
    with _hydra(request):
        with _composing():
            config = hydra.compose(request.config_name, overrides=[*_search_path(request), *request.overrides])
        return to_typed(config, schema)


@contextmanager
def composed_sweep(request: HydraRequest) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Composes what the jobs of a sweep share, Hydra's own config included, without running anything.

    Yields:
        What composes a job's config (`load_sweep_config`), and the composed config.

    Raises:
        ConfigError: The config is wrong.
    """
    with _composed(request, RunMode.MULTIRUN) as composed:
        yield composed


def run(request: HydraRequest, check: Callable[[DictConfig, Path], T], job: Callable[[T], None]) -> None:
    """Composes a config, and runs its job in the folder that Hydra makes for it.

    Hydra would compose it twice more by itself, and each time takes a tenth of a repeated run's start.

    Args:
        request: What is to be run.
        check: Called with the composed config and the path of the folder, before there is a folder.
        job: Called with what `check` returned.

    Raises:
        ConfigError: The config is wrong.
        Exception: What `check` or the job raised.
    """
    with _composed(request, RunMode.RUN) as (loader, config):
        if config.hydra.mode not in (None, RunMode.RUN):
            raise ConfigError(f"hydra.mode={config.hydra.mode.name}: this is one run", "add -m for a sweep")
        check_hydra_config(config.hydra)
        folder = Path(str(config.hydra.run.dir))
        checked = check(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), folder)
        with _composing():  # what the job raises is returned
            callbacks = Callbacks(config)
            callbacks.on_run_start(config=config, config_name=request.config_name)
            done = run_job(
                lambda _: job(checked),
                config,
                job_dir_key="hydra.run.dir",
                job_subdir_key=None,
                hydra_context=HydraContext(config_loader=loader, callbacks=callbacks),
            )
        callbacks.on_run_end(config=config, config_name=request.config_name, job_return=done)
    if done.status == JobStatus.FAILED:
        raise done._return_value  # `return_value` would print a line about it first


def show(request: HydraRequest, view: str) -> None:
    """Prints a config.

    Args:
        request: What would be run.
        view: `job`, `hydra` or `all`.

    Raises:
        ConfigError: The config is wrong.
    """
    with _hydra(request) as engine, _composing():
        engine.show_cfg(request.config_name, _arguments(request), cfg_type=view, package=None)


def launch(
    request: HydraRequest, job: Callable[[DictConfig], Any], launcher: Callable[[Launcher], Launcher] = lambda x: x
) -> None:
    """Lets Hydra call each job of a sweep, wherever its launcher runs them.

    Args:
        request: What is to be run.
        job: Called with each composed config; it can be pickled if it goes to other processes, and raises nothing.
        launcher: Returns what is to stand between the sweeper and the launcher that it is given.

    Raises:
        ConfigError: The config is wrong.
    """
    with _hydra(request) as engine:
        loader = engine.config_loader = ComposedOnce(engine.config_loader.get_search_path())
        # As `Hydra.multirun` does.
        with _composing():
            config = engine.compose_config(request.config_name, [*_arguments(request), _NO_RECORD], RunMode.MULTIRUN)
            callbacks = Callbacks(config)
            callbacks.on_multirun_start(config=config, config_name=request.config_name)
            sweeper = Plugins.instance().instantiate_sweeper(
                config=config, hydra_context=HydraContext(loader, callbacks), task_function=job
            )
        replace_launcher(sweeper, launcher)
        sweeper.sweep(arguments=[str(one) for one in config.hydra.overrides.task])
        callbacks.on_multirun_end(config=config, config_name=request.config_name)


def replace_launcher(sweeper: Any, new: Any) -> bool:
    """Puts another launcher into a sweeper: what `new` makes of the launcher that it has.

    Returns:
        Whether the sweeper has one where those that are known keep it.
    """
    # Optuna's and its like are shells around the sweeper proper.
    for owner in (sweeper, getattr(sweeper, "sweeper", None)):
        if isinstance(getattr(owner, "launcher", None), Launcher):
            owner.launcher = new(owner.launcher)
            return True
    return False


def to_typed(config: DictConfig, schema: type[T], *, sweep: bool = False) -> T:
    """Turns a composed config, without Hydra's own, into its typed form.

    Args:
        config: The composed config.
        schema: The dataclass.
        sweep: Whether keys that only other choices of their group have are left out; see `typed`.
    """
    with config_errors():
        plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return typed({str(key): value for key, value in plain.items()}, schema, foreign_keys=sweep)


def write_record(folder: Path, config: DictConfig) -> None:
    """Writes Hydra's own record of the job that runs, in Hydra's form.

    Hydra would write it before fedcli knows whether the run may go on, and over that of a job that is done.

    Args:
        folder: Where to; made where it is missing.
        config: The composed config, without Hydra's own.

    Raises:
        RunDirectoryError: A file cannot be written.
    """
    hydra_config: Any = HydraConfig.instance().cfg  # what its type says is not what it is
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    for name, part in (
        ("config.yaml", config),
        ("hydra.yaml", hydra_config),
        ("overrides.yaml", hydra_config.hydra.overrides.task),
    ):
        write_text(folder / name, OmegaConf.to_yaml(part))


def job_folder() -> Path:
    """Returns the folder that Hydra made for the job that runs."""
    return Path(HydraConfig.get().runtime.output_dir)


@contextmanager
def _hydra(request: HydraRequest) -> Iterator[Hydra]:
    """Sets Hydra up as its command-line application would, which reads `sys.argv`, prints tracebacks and exits."""
    _register_resolvers(request.run_id)
    with config_errors(), hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        engine = GlobalHydra.instance().hydra
        assert engine is not None
        yield engine


@contextmanager
def _composed(request: HydraRequest, mode: RunMode) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    with _hydra(request) as engine:
        loader = engine.config_loader
        arguments = [*_arguments(request), _NO_RECORD]
        with _composing():
            config = loader.load_configuration(request.config_name, arguments, mode)
        refuse_named_code(config, request.overrides)
        yield loader, config


@contextmanager
def config_errors() -> Iterator[None]:
    """Turns Hydra's and OmegaConf's errors about the config into fedcli's."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(lines[0] if lines else type(error).__name__, "see the config with --cfg job") from error


@contextmanager
def _composing() -> Iterator[None]:
    """Turns whatever Hydra raises while it composes a config or sets itself up into an error about the config."""
    try:
        with config_errors():
            yield
    except (FedcliError, OSError):
        raise
    except Exception as error:  # Hydra does not foresee every value: it fails at assertions, attributes and keys
        raise ConfigError(
            f"Hydra cannot use these arguments: {innermost_reason(error)}",
            "check the arguments that begin with hydra; --debug shows the traceback",
        ) from error


def innermost_reason(error: BaseException) -> str:
    """Says in a line what was wrong: the innermost cause, since Hydra wraps errors in its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _register_resolvers(run_id: str) -> None:
    OmegaConf.register_new_resolver("fedcli.id", lambda: run_id, replace=True)


def _arguments(request: HydraRequest) -> list[str]:
    return [f"hydra.job.name={request.config_name}", *_search_path(request), *request.overrides]


def _search_path(request: HydraRequest) -> list[str]:
    if not request.config_dirs:
        return []
    folders = ",".join(f"'file://{folder.resolve()}'" for folder in request.config_dirs)
    return [f"hydra.searchpath=[{folders}]"]
