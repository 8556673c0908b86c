"""Reads config.yaml. Not by OmegaConf: importing it takes longer than reading 50 configs with PyYAML's C parser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from fedcli.keys.flat import flat
from fedcli.keys.yaml_bounds import read_yaml

#: Characters of a number; Python refuses to write whole numbers of thousands of digits.
_MOST_DIGITS = 400


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, but for numbers of hundreds of digits."""

    def short_number(self, node: Any) -> Any:
        """Reads a number, unless it is so long."""
        if len(node.value) > _MOST_DIGITS:
            raise yaml.constructor.ConstructorError(None, None, "a number of hundreds of digits", node.start_mark)
        is_whole = node.tag == "tag:yaml.org,2002:int"
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.short_number)


def read_config(path: Path) -> dict[str, Any]:
    """Reads a config as dotted keys.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no config.
    """
    document = _parse(read_yaml(path))
    if not isinstance(document, dict):
        raise ValueError("empty" if document is None else "not a config")
    try:
        return flat(_with_text_keys(document))
    except RecursionError as error:  # an alias that holds itself
        raise ValueError("nested without end") from error


def parse_value(text: str) -> Any:
    """Reads a value as in a config: `0.1` is a number, `true` a truth value; what is no YAML is text."""
    try:
        return _parse(text)
    except ValueError:
        return text


def _parse(data: bytes | str) -> Any:
    try:
        # The safe loaders only: a file may come from anybody.
        return yaml.load(data, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from error


def _with_text_keys(document: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _with_text_keys(item) if isinstance(item, dict) else item for key, item in document.items()}
