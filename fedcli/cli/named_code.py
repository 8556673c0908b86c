"""Refuses Python code that a YAML file names in Hydra's config: a folder of presets may come from somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fedcli.errors import ConfigError
from fedcli.shell import shell_word

#: Keys whose value Hydra, or Python's logging for it, imports and calls.
_CALLED = ("_target_", "()", "custom_search_space")
#: What installed launchers and sweepers name themselves. Callbacks are never Hydra's own.
_OWN = ("hydra_plugins.", "hydra._internal.core_plugins.", "optuna.samplers.")


def refuse_named_code(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuses code that nobody typed.

    Args:
        config: The composed config, Hydra's own included.
        overrides: KEY=VALUE arguments; what they name is the user's wish.

    Raises:
        ConfigError: A file names code.
    """
    typed = tuple(override.lstrip("+").partition("=")[0].replace("/", ".") for override in overrides)
    for key, value in _called(OmegaConf.to_container(config.hydra, resolve=False), "hydra"):
        is_plugin = value.startswith(_OWN) and not key.startswith("hydra.callbacks.")
        if is_plugin or any(key == name or key.startswith(f"{name}.") for name in typed if name.startswith("hydra")):
            continue
        raise ConfigError(
            f"{key}={value}: a YAML file names code to run",
            f"take it out of the file, or name it on the command line: {shell_word(f'++{key}={value}')}",
        )


def _called(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in _CALLED and item is not None:
                yield f"{key}.{name}", str(item)
            else:
                yield from _called(item, f"{key}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _called(item, key)
