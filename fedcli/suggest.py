"""Finds what a user meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: More choices than this are not listed.
_LISTED = 30


def did_you_mean(word: str, choices: Iterable[str], listed: str = "choose one of") -> str:
    """Returns a hint: the choices closest to a word, if some are close, and all of them, if they are few.

    Args:
        word: What was given.
        choices: What could have been given.
        listed: What comes before the list of choices.
    """
    choices = sorted(choices)
    close = difflib.get_close_matches(word, choices, n=3 if len(choices) > _LISTED else 1, cutoff=0.6)
    guess = f"did you mean {' or '.join(close)}? " if close else ""
    if len(choices) > _LISTED:
        return f"{guess}--cfg job shows all keys"
    return f"{guess}{listed}: {', '.join(choices)}"
