"""Finds what a user meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, choices: Iterable[str], listed: str = "choose one of") -> str:
    """Returns a hint: the choice closest to a word, if one is close, and all of the choices.

    Args:
        word: What was given.
        choices: What could have been given.
        listed: What comes before the list of choices.
    """
    choices = sorted(choices)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]}? " if close else ""
    return f"{guess}{listed}: {', '.join(choices)}"
