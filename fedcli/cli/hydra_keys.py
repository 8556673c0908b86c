"""Checks what users set of Hydra's own config: what Hydra would answer with an error of its own, or not at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig

from fedcli.cli.launchers import plugin_choices
from fedcli.errors import ConfigError, UsageError

#: Keys under which Hydra keeps its own config.
HYDRA_KEYS = ("hydra.", "hydra/")

#: Keys that hold the config of what runs the jobs.
_PLUGINS = ("hydra.launcher", "hydra.sweeper")
#: Keys that name a folder.
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def check_hydra_override(override: Override) -> None:
    """Refuses an argument about Hydra's own config that Hydra cannot use.

    Raises:
        UsageError: The argument has a form that makes no sense here.
        ConfigError: Its value makes no sense.
    """
    key, line = override.key_or_group, (override.input_line or "").lstrip("+")
    if override.is_delete():
        raise UsageError(f"{line}: Hydra's own keys cannot be removed", f"set it: {key.lstrip('~')}=VALUE")
    if override.is_sweep_override():
        raise UsageError(
            f"{line}: several values of a key of Hydra's own, which is the same for all jobs", "choose one value"
        )
    value = override.value()
    if key.startswith("hydra/"):
        if not isinstance(value, str) or not value:
            choices = plugin_choices(key)
            hint = f"choose one of: {', '.join(choices)}" if choices else "leave it out, or give the name of a choice"
            raise ConfigError(f"{line}: no such {key}", hint)
    elif key == "hydra.searchpath":
        _check_search_path(line, value)
    elif key.partition("[")[0].startswith("hydra.sweeper.params") and value is not None:
        raise ConfigError(
            f"{line}: on the command line, what is swept over is named by itself", "write -m KEY=VALUE,VALUE"
        )
    elif key in _PLUGINS and not isinstance(value, dict):
        raise ConfigError(f"{line}: not a config", f"choose one by {key.replace('.', '/')}=NAME, or leave it out")
    elif key in _FOLDERS and not (isinstance(value, str | int | float) and str(value)):
        raise ConfigError(f"{line}: not a folder", f"write {key}=PATH")


def check_hydra_config(hydra: DictConfig) -> None:
    """Refuses values of Hydra's composed own config that Hydra would fail at only when a job begins.

    Raises:
        ConfigError: A value makes no sense.
    """
    verbose = hydra.get("verbose")
    names = verbose if isinstance(verbose, ListConfig) else [verbose]
    if not isinstance(verbose, bool | ListConfig | str) or not all(isinstance(name, bool | str) for name in names):
        raise ConfigError(
            f"hydra.verbose={verbose}: neither true, false nor the names of loggers",
            "leave it out; fedcli -v shows what is logged",
        )


def _check_search_path(line: str, value: Any) -> None:
    if not isinstance(value, list):
        raise ConfigError(f"{line}: not a list of folders", "write hydra.searchpath=[file:///FOLDER]")
    for item in value:
        text = str(getattr(item, "text", item))
        scheme, separator, place = text.partition("://")
        if not separator or scheme not in ("file", "pkg"):
            raise ConfigError(
                f"hydra.searchpath: {text} is neither file://FOLDER nor pkg://PACKAGE",
                "add a folder with YAML files by --config-dir FOLDER",
            )
        if scheme == "file" and not Path(place).is_dir():
            raise ConfigError(f"hydra.searchpath: {text}: no such folder", "check the path, or leave it out")
        if scheme == "pkg" and not _is_package(place):
            raise ConfigError(f"hydra.searchpath: {text}: no such package", "install it, or leave it out")


def _is_package(path: str) -> bool:
    try:
        return importlib.util.find_spec(path.strip("/").replace("/", ".")) is not None
    except (ImportError, ValueError, AttributeError):
        return False
