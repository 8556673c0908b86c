"""A search with Optuna: in which direction, and whether it can begin at all."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, ListConfig, open_dict

from fedcli.cli.hydra_bridge import innermost_reason, replace_launcher
from fedcli.columns import Direction
from fedcli.directions import direction
from fedcli.errors import ConfigError, FedcliError

_KEY = "hydra.sweeper.direction"


def search_direction(sweeper: DictConfig, objective: str, overrides: Sequence[str]) -> Direction:
    """Tells in which direction a search goes: that of its objective, unless the user gives another.

    Args:
        sweeper: Hydra's config of Optuna's sweeper.
        objective: The metric.
        overrides: What was typed.

    Returns:
        The direction.

    Raises:
        ConfigError: The direction that was given is none, or none is given and the objective has none.
    """
    better = direction(objective)
    given = _given(sweeper.get("direction"))
    # Without a word from the user, Optuna's own default stands there, whatever the objective is.
    is_typed = any(override.lstrip("+").partition("=")[0] == _KEY for override in overrides)
    if not is_typed and given is Direction.MINIMIZE:
        if better is None:
            raise ConfigError(
                f"objective={objective}: neither more nor less of it is known to be better",
                f"say what to search for: {_KEY}=maximize or {_KEY}=minimize",
            )
        return better
    return given


def check_plugins(config: DictConfig, context: HydraContext) -> None:
    """Makes the sweeper and the launcher, to see whether they can be made.

    Args:
        config: The composed config of the sweep, with Hydra's own.
        context: What Hydra gives its plugins.

    Raises:
        ConfigError: They cannot.
    """
    try:
        Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=lambda config: None)
    except Exception as error:  # whatever their classes say
        raise ConfigError(
            f"the sweep cannot begin: {innermost_reason(error)}",
            "check hydra/launcher, hydra/sweeper and the keys below hydra.launcher and hydra.sweeper",
        ) from error


def rehearse(config: DictConfig, direction: Direction, context: HydraContext) -> None:
    """Goes as far as a search goes before its first trial, without a word on the disk.

    Args:
        config: The composed config of the sweep, with Hydra's own.
        direction: The search's direction.
        context: What Hydra gives its plugins.

    Raises:
        ConfigError: The sweeper, its sampler, its search space or its storage cannot be used.
    """
    silence_optuna()
    config = copy.deepcopy(config)
    storage = config.hydra.sweeper.get("storage")
    with open_dict(config):
        # A trial that is asked for stays in a study.
        config.hydra.sweeper.storage = None
        config.hydra.sweeper.direction = str(direction)
    try:
        sweeper = Plugins.instance().instantiate_sweeper(
            config=config, hydra_context=context, task_function=lambda config: None
        )
        replace_launcher(sweeper, lambda launcher: _Rehearsal())
        sweeper.sweep(arguments=[str(one) for one in config.hydra.overrides.task])
    except _RehearsedError:
        pass
    except FedcliError:
        raise
    except Exception as error:  # of Hydra, Optuna, a sampler: whatever they say
        raise ConfigError(f"the search cannot begin: {innermost_reason(error)}", _HINT) from error
    else:
        raise ConfigError("the search has no trials", "write hydra.sweeper.n_trials=20")
    if isinstance(storage, str):
        _check_storage(storage)


def silence_optuna() -> None:
    """Keeps Optuna's own lines from the terminal: fedcli tells of each job."""
    try:
        import optuna
    except ImportError:  # another sweeper that searches
        return
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()


class _RehearsedError(Exception):
    """The first trial would begin now."""


class _Rehearsal(Launcher):
    def setup(self, **keys: Any) -> None:
        """Does nothing."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Ends the rehearsal."""
        raise _RehearsedError


def _given(value: Any) -> Direction:
    names = list(value) if isinstance(value, list | ListConfig) else [value]
    if len(names) > 1:
        raise ConfigError(
            f"{_KEY}=[{','.join(map(_name, names))}]: a run has one objective, so a search has one direction",
            f"leave it out, or write {_KEY}=maximize or {_KEY}=minimize",
        )
    try:
        return Direction(_name(names[0]))
    except (ValueError, IndexError):
        shown = "[]" if not names else "null" if names[0] is None else _name(names[0])
        raise ConfigError(
            f"{_KEY}={shown}: no direction", f"leave it out, or write {_KEY}=maximize or {_KEY}=minimize"
        ) from None


def _name(value: Any) -> str:
    return str(getattr(value, "name", value)).lower()


def _check_storage(storage: str) -> None:
    import optuna

    try:
        optuna.storages.get_storage(storage)
    except Exception as error:
        raise ConfigError(
            f"hydra.sweeper.storage={storage}: {innermost_reason(error)}",
            "give a database that can be written, such as hydra.sweeper.storage=sqlite:///study.db",
        ) from error


_HINT = "check hydra.sweeper.* and the values that are searched; --debug shows the traceback"
