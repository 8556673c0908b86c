"""Checks the KEY=VALUE arguments before Hydra sees them, so that a typing error gets an answer, not a traceback."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from fedcli.cli.hydra_keys import HYDRA_KEYS, check_hydra_override
from fedcli.cli.sweep_values import check_sweep
from fedcli.components.groups import groups, keys_of_group
from fedcli.errors import ConfigError, UsageError
from fedcli.keys.location import choices
from fedcli.keys.yaml_bounds import check_yaml_folders
from fedcli.masking import has_password
from fedcli.passwords import password_error
from fedcli.shell import shell_word
from fedcli.suggest import did_you_mean


def checked_overrides(
    arguments: Sequence[str], schema: type[Any], *, sweep: bool, config_dirs: Sequence[Path] = ()
) -> list[str]:
    """Checks arguments and puts them in the form that Hydra takes.

    Args:
        arguments: What was typed after the command and its flags.
        schema: The dataclass of the command's config.
        sweep: Whether a key may have several values, separated by commas.
        config_dirs: Further folders with YAML files.

    Raises:
        UsageError: An argument is not KEY=VALUE.
        ConfigError: A key or a choice does not exist, a value holds a password, or a YAML file of `config_dirs` cannot
            be read.
    """
    for argument in arguments:
        if has_password(argument):
            raise password_error(*argument.lstrip("+").partition("=")[::2])
    _refuse_flags(arguments)
    for folder in config_dirs:
        if not folder.is_dir():
            raise UsageError(
                f"--config-dir {folder}: no such folder", "give a folder that holds GROUP/CHOICE.yaml files"
            )
    check_yaml_folders(config_dirs)
    available = choices(config_dirs)
    result = []
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if "=" not in argument and not argument.startswith("~"):
            raise UsageError(f"{argument}: not KEY=VALUE", _guess(argument, following, schema, available))
        try:
            override = OverridesParser.create().parse_override(argument)
        except (HydraException, ValueError, RecursionError) as error:
            # ValueError: a number of thousands of digits; RecursionError: as many brackets.
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{argument}: {reason}", "quote a value with special characters: 'key=\"a value\"'"
            ) from None
        result.append(_checked(override, schema, available, sweep))
    return result


def _checked(override: Override, schema: type[Any], available: dict[str, list[str]], sweep: bool) -> str:
    key = override.key_or_group
    line = override.input_line or ""
    if key.startswith(HYDRA_KEYS):
        check_hydra_override(override)
        return line
    if override.is_delete():
        raise UsageError(f"{line}: a key cannot be removed", f"set it: {key}=VALUE")
    if override.is_sweep_override() and not sweep:
        raise UsageError(
            f"{line}: several values",
            "add -m to run one job for each value, or quote the value to keep it whole",
        )
    if override.is_sweep_override():
        check_sweep(override, available)
    if key in available:
        values: Iterable[str] = [line.partition("=")[2]]
        if override.is_sweep_override():
            # What a pattern matches exists.
            values = [] if isinstance(override.value(), Glob) else override.sweep_string_iterator()
        for value in values:
            if value not in available[key]:
                raise ConfigError(f"{key}={value}: no such {key}", did_you_mean(value, available[key]))
        return line.lstrip("+")
    if not key:
        raise UsageError(f"{line}: no key before the =", "config keys are written KEY=VALUE, for example rounds=20")
    group, _, rest = key.partition(".")
    fields = {field.name for field in dataclasses.fields(schema)}
    if group not in fields:
        raise ConfigError(f"{key}: no such key", did_you_mean(key, {*_all_keys(schema), *available}, "keys"))
    if rest:
        known = _keys_under(group, schema)
        if not known:
            raise ConfigError(f"{key}: {group} has no keys below it", f"set it with {group}=VALUE")
        if rest.split(".")[0].split("[")[0] not in known:
            raise ConfigError(f"{key}: no such key", did_you_mean(rest, known, f"keys of {group}"))
    # Forced, because another choice of the group may have the key: whether the chosen one has is checked later.
    return f"++{line.lstrip('+')}" if rest else line.lstrip("+")


def _keys_under(group: str, schema: type[Any]) -> list[str]:
    if group in groups():
        return list(keys_of_group(group))
    hint = get_type_hints(schema)[group]
    return [field.name for field in dataclasses.fields(hint)] if dataclasses.is_dataclass(hint) else []


def _all_keys(schema: type[Any]) -> list[str]:
    """Lists every key that can be set; a group's keys with their group."""
    keys: list[str] = []
    for field in dataclasses.fields(schema):
        under = _keys_under(field.name, schema)
        keys.extend(f"{field.name}.{key}" for key in under if key != "name")
        if not under:
            keys.append(field.name)
    return keys


def _refuse_flags(arguments: Sequence[str]) -> None:
    for position, argument in enumerate(arguments):
        if not argument.startswith("-"):
            continue
        name, _, value = argument.lstrip("-").partition("=")
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        if not value and following and "=" not in following and not following.startswith("-"):
            value = following
        meant = shell_word(f"{name.replace('-', '_')}={value or 'VALUE'}")
        raise UsageError(
            f"{argument}: no such option", f"config keys are written KEY=VALUE: {meant}; --help lists the options"
        )


def _guess(word: str, following: str, schema: type[Any], available: dict[str, list[str]]) -> str:
    """Returns a hint for an argument without `=`."""
    meant = {choice: f"{group}={choice}" for group, names in available.items() for choice in names}
    value = following if following and "=" not in following else "VALUE"
    meant |= {key: shell_word(f"{key}={value}") for key in (*available, *_all_keys(schema))}
    close = get_close_matches(word.rstrip(":"), meant, n=1)
    guess = f"did you mean {meant[close[0]]}? " if close else ""
    return f"{guess}config keys are written KEY=VALUE; --help lists the groups, --cfg job all keys"
