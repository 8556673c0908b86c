"""Gives a pretrained model its name: a copy in the cache, and whose it is beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedcli.datasets.cache import only_one_process
from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.pretrained import about_file, pretrained_path
from fedcli.runs.atomic import atomic_path, read_json, storage_errors, write_json
from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import read_record

if TYPE_CHECKING:
    from fedcli.config.pretrain import PretrainConfig


def refuse_taken(config: PretrainConfig, run: RunDirectory | None = None) -> None:
    """Refuses a name that another run's model has, unless it may be replaced.

    Args:
        config: The run's config.
        run: The run, if it has begun: it may always replace its own model.

    Raises:
        ConfigError: The name is taken.
    """
    path = _path(config)
    if config.overwrite or not path.exists():
        return
    if run is not None and _owner(path) == read_record(run.run_json).id:
        return
    raise ConfigError(
        f"--name {config.name}: there is a model of that name, {path}",
        "choose another name, or replace it with --overwrite",
    )


def publish(config: PretrainConfig, run: RunDirectory, about: dict[str, Any]) -> Path:
    """Copies a run's model to where `--pretrained NAME` finds it, whole or not at all.

    Args:
        config: The run's config.
        run: The run, whose model.keras is written.
        about: What is written beside the model for people: the text, the accuracy, ...

    Raises:
        ConfigError: Another run has taken the name meanwhile.
        RunDirectoryError: It cannot be written.
    """
    path = _path(config)
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Of two runs that end at once, the second sees the name taken.
    with only_one_process(path):
        refuse_taken(config, run)
        # Before the model: killed in between, the run still counts as the owner and writes the model when resumed.
        write_json(about_file(path), {"run_id": read_record(run.run_json).id, "run": str(run.path.absolute()), **about})
        with atomic_path(path) as partial:
            shutil.copyfile(run.model_keras, partial)
    return path


def _path(config: PretrainConfig) -> Path:
    assert config.name is not None  # checked with the config
    return pretrained_path(config.name, config.cache_dir)


def _owner(path: Path) -> str | None:
    try:
        return read_json(about_file(path)).get("run_id")
    except RunDirectoryError:
        return None  # made by hand
