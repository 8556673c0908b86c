"""Keeps passwords in URLs out of what people and files see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: What stands for a secret.
MASK = "***"

# A user name is masked too: it may be a token. What follows a question mark may be a signature.
_USER = re.compile(r"(?i)([a-z][a-z0-9+.-]*://)[^/\s'\"<>?#]*@")
_QUERY = re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s'\"<>?#]+)\?[^\s'\"<>]+")


def masked(text: str) -> str:
    """Returns a text whose URLs have lost user names, passwords and queries: `https://***@host/path?***`."""
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1?{MASK}", _USER.sub(rf"\1{MASK}@", text))


def has_password(text: str) -> bool:
    """Tells whether a text holds a URL with a user name or a password."""
    return _USER.search(text) is not None


def masked_all(value: Any) -> Any:
    """Masks every text in dictionaries and lists; other values stay as they are."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked_all(item) for item in value]
    return value


def keys_with_passwords(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Lists the keys of nested dictionaries and lists whose text holds a URL with a password, with that text."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from keys_with_passwords(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from keys_with_passwords(item, key)
    elif isinstance(value, str) and has_password(value):
        yield key, value
