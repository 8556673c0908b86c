"""Refuses passwords in a config: a run writes its config to many files, which others read."""

from __future__ import annotations

from typing import Any

from fedcli.errors import ConfigError
from fedcli.masking import keys_with_passwords


def refuse_passwords(config: Any) -> None:
    """Refuses a URL with a user name or a password anywhere in a config.

    Args:
        config: Dictionaries, lists and values.

    Raises:
        ConfigError: There is one. The message does not show it.
    """
    for key, value in keys_with_passwords(config):
        raise password_error(key, value)


def password_error(key: str, value: str) -> ConfigError:
    """Returns the error for a key whose value holds a password."""
    if key == "dataset.origin":
        hint = (
            "put them into ~/.netrc (machine HOST login USER password PASSWORD), "
            "or leave dataset.origin out and set the environment variable FEDCLI_ORIGIN to the URL with them"
        )
    elif key.startswith("hydra."):
        hint = f"put the URL into an environment variable: '{key}=${{oc.env:VARIABLE}}'"
    else:
        hint = f"give a URL without them: {key}=VALUE"
    # The error masks what it shows.
    return ConfigError(f"{key}={value}: a run's files would show the user name and password", hint)
