"""Turns a composed config into its typed form, or says which key is wrong and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedcli.components.groups import groups, keys_of_group
from fedcli.errors import ConfigError
from fedcli.keys.shown import shown
from fedcli.passwords import refuse_passwords
from fedcli.ranges import out_of_range
from fedcli.registry import Component
from fedcli.suggest import did_you_mean

T = TypeVar("T")

#: What OmegaConf raises where a value is not of its key's type: a whole number may be too large for a float.
_CONVERSION_ERRORS = (OmegaConfBaseException, OverflowError, ValueError, TypeError)

_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}
_ITEM_NAMES = {int: "whole numbers", float: "numbers", str: "texts"}


def typed(config: Mapping[str, Any], schema: type[T], *, foreign_keys: bool = False) -> T:
    """Builds the typed config.

    Args:
        config: The composed config, resolved: plain dictionaries, lists and values.
        schema: The dataclass of the whole, for example `TrainConfig`.
        foreign_keys: Whether a key that only other choices of its group have is left out instead of refused. A
            sweep over the choices of a group can then also set a key that just one of them has.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type, makes no sense or holds a password.
    """
    refuse_passwords(config)
    values: dict[str, Any] = {}
    fields = {field.name for field in dataclasses.fields(schema)}  # type: ignore[arg-type]
    plain: dict[str, Any] = {}
    for key, value in config.items():
        if key in groups() and key in fields:
            values[key] = _component(key, value, foreign_keys)
        elif key in fields:
            plain[key] = value
        else:
            raise ConfigError(f"{key}: no such key", did_you_mean(key, fields, "keys"))
    hints = get_type_hints(schema, include_extras=True)
    for key, value in plain.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            values[key] = _structured(hint, key, value)
        else:
            holder = dataclasses.make_dataclass("Value", [(key, hint)])
            values[key] = getattr(_structured(holder, "", {key: value}), key)
    missing = [
        field.name
        for field in dataclasses.fields(schema)  # type: ignore[arg-type]
        if field.name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{missing[0]}: not given", f"give {missing[0]}=VALUE")
    return schema(**values)


def _component(group: str, value: Any, foreign_keys: bool) -> Component:
    registry = groups()[group]
    if not isinstance(value, Mapping) or "name" not in value:
        raise ConfigError(
            f"{group}={value}: the group holds no name",
            did_you_mean(str(value), registry.components),
        )
    name = shown(value["name"])
    if name not in registry.components:
        # Said here, not by the registry: client_optimizer and server_optimizer share one.
        raise ConfigError(f"{group}.name={name}: no such {group}", did_you_mean(name, registry.components))
    component = registry[name]
    own = {field.name for field in dataclasses.fields(component)}
    settings = dict(value)
    for key in value:
        if key in own:
            continue
        others = keys_of_group(group).get(key)
        if others is None:
            raise ConfigError(f"{group}.{key}: no such key", did_you_mean(key, own, f"keys of {group}"))
        if not foreign_keys:
            raise ConfigError(
                f"{group}.{key}: not a key of {group}={value['name']}",
                f"it belongs to {group}={'|'.join(others)}; keys of {value['name']}: {', '.join(sorted(own))}",
            )
        del settings[key]
    result = _structured(component, group, settings)
    for field, requirement in result.problems():
        raise ConfigError(f"{group}.{field}={shown(getattr(result, field))}: {requirement}", _set(group, field))
    return result


def _structured(cls: type[T], prefix: str, value: Any) -> T:
    """Checks the keys and types of one dataclass by OmegaConf."""
    fields = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if not isinstance(value, Mapping):
        raise ConfigError(f"{prefix}={shown(value)}: not a group of keys", f"keys: {', '.join(sorted(fields))}")
    for key in value:
        if key not in fields:
            raise ConfigError(f"{prefix}.{key}: no such key", did_you_mean(key, fields, f"keys of {prefix}"))
    try:
        result = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), value))
    except _CONVERSION_ERRORS as error:
        raise _wrong_type(cls, prefix, value) or error from None
    for key, item_type in _lists(cls):  # type: ignore[arg-type]
        # OmegaConf checks the items of a list, but lets lists and groups among them pass.
        if any(type(item) is not item_type for item in getattr(result, key) or ()):
            full = f"{prefix}.{key}" if prefix else key
            needed = _type_name(get_type_hints(cls)[key])
            raise ConfigError(f"{full}={shown(getattr(result, key))}: must be {needed}", _set(prefix, key))
    for key, requirement in out_of_range(result):
        full = f"{prefix}.{key}" if prefix else key
        raise ConfigError(f"{full}={shown(getattr(result, key))}: {requirement}", _set(prefix, key))
    return result  # type: ignore[return-value]


@cache
def _lists(cls: type[object]) -> list[tuple[str, type]]:
    """Returns the fields of a dataclass that are lists, each with the type of its items."""
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    return [
        (name, get_args(option)[0])
        for name in names
        for option in (hints[name], *get_args(hints[name]))
        if get_origin(option) is list
    ]


def _wrong_type(cls: type[object], prefix: str, value: Mapping[str, Any]) -> ConfigError | None:
    """Finds the key of a dataclass whose value OmegaConf refuses."""
    hints = get_type_hints(cls)
    for key, item in value.items():
        try:
            OmegaConf.merge(OmegaConf.structured(cls), {key: item})
        except _CONVERSION_ERRORS:
            full = f"{prefix}.{key}" if prefix else key
            return ConfigError(f"{full}={shown(item)}: must be {_type_name(hints[key])}", _set(prefix, key))
    return None


def _type_name(hint: Any) -> str:
    if hint in _TYPE_NAMES:
        return _TYPE_NAMES[hint]
    if get_origin(hint) is list:
        return f"a list of {_ITEM_NAMES.get(get_args(hint)[0], 'values')}"
    options = [_type_name(arg) if arg is not type(None) else "null" for arg in get_args(hint)]
    return " or ".join(options) or str(hint)


def _set(prefix: str, key: str) -> str:
    return f"set it with {prefix + '.' if prefix else ''}{key}=VALUE; --cfg job shows the whole config"
