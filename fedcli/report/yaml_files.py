"""Reads config.yaml as dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedcli.config.flat import flat
from fedcli.runs.bounded import MOST_YAML, read_bounded
from fedcli.runs.bounded_yaml import parse_yaml


def read_config(path: Path) -> dict[str, Any]:
    """Reads a config as dotted keys.

    Raises:
        OSError: The file cannot be read.
        RunDirectoryError: It is no regular file, or too large.
        ValueError: It is no config.
    """
    document = parse_yaml(read_bounded(path, MOST_YAML))
    if not isinstance(document, dict):
        raise ValueError("empty" if document is None else "not a config")
    try:
        return flat(_with_text_keys(document))
    except RecursionError as error:  # an alias that holds itself
        raise ValueError("nested without end") from error


def parse_value(text: str) -> Any:
    """Reads a value as in a config: `0.1` is a number, `true` a truth value; what is no YAML is text."""
    try:
        return parse_yaml(text)
    except ValueError:
        return text


def _with_text_keys(document: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _with_text_keys(item) if isinstance(item, dict) else item for key, item in document.items()}
