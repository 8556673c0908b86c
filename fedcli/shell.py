"""Writes paths and commands for people so that a shell reads them back as they are when they are pasted."""

from __future__ import annotations

import os
import shlex


def shell_word(word: str | os.PathLike[str]) -> str:
    """Quotes a word of a command line, if it needs quotes.

    Characters that no terminal shows, and bytes that are not UTF-8, become escapes in `$'...'` (bash, zsh, ksh).
    """
    text = os.fspath(word)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"


def command_line(*words: str | os.PathLike[str]) -> str:
    """Joins the words of a command to a line."""
    return " ".join(map(shell_word, words))


def shown_path(path: str | os.PathLike[str]) -> str:
    """Writes a path for people and their shell: as short as it works from the current folder, and quoted."""
    relative = os.path.relpath(path)
    shown = os.fspath(path) if relative.startswith("..") else relative
    # A command would take it for an option.
    return shell_word(f"./{shown}" if shown.startswith("-") else shown)


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    # Octal escapes have a fixed length, so that the next character is never taken for a part of them.
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def printable(text: str, keeping: str = "") -> str:
    """Writes characters that cannot be printed as escapes: names and values come from files that anybody can write.

    Args:
        text: The text.
        keeping: Characters that stay as they are.
    """
    return "".join(c if c.isprintable() or c in keeping else c.encode("unicode_escape").decode() for c in text)
