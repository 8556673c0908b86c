"""Checks the numbers of a config against the ranges that its keys state."""

from __future__ import annotations

from typing import Any

from fedcli.errors import ConfigError
from fedcli.keys.shown import shown
from fedcli.ranges import keys_out_of_range


def check_ranges(config: Any) -> None:
    """Refuses a number that is out of the range that its key states.

    `typed` has checked a config from the command line; this is for one that was made in Python.

    Raises:
        ConfigError: A number is out of its range.
    """
    for key, value, requirement in keys_out_of_range(config):
        raise ConfigError(f"{key}={shown(value)}: {requirement}", f"set it with {key}=VALUE")
