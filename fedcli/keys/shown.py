"""Writes a config's values for messages."""

from __future__ import annotations

from typing import Any

#: A longer value is cut.
_LONGEST = 100


def shown(value: Any) -> str:
    """Writes a value as it is typed on the command line; of a long one the beginning."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = str(value)
    except ValueError:  # Python writes whole numbers of at most 4,300 digits
        text = hex(value) if isinstance(value, int) else type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
