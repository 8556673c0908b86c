"""What people and programs see: stderr is for people, stdout for the one document that `--json` asks for."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from fedcli.errors import FedcliError

#: A longer line of an error is cut.
_LONGEST = 800


@dataclass
class Output:
    """How a command talks.

    Attributes:
        json: Print one JSON document on stdout, errors included.
        verbosity: -1 for errors only, 0 for progress, 1 for what is logged too.
        debug: Show the traceback of an error.
    """

    json: bool = False
    verbosity: int = 0
    debug: bool = False

    def document(self, value: Any) -> None:
        """Prints the command's JSON document."""
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        sys.stdout.flush()

    def error(self, error: FedcliError) -> None:
        """Prints an error: two lines on stderr, or a document on stdout."""
        if self.json:
            self.document(
                {
                    **error.details,
                    "error": {
                        "type": type(error).__name__,
                        "message": error.message,
                        "hint": error.hint,
                        "exit_code": error.exit_code,
                    },
                }
            )
            return
        bold, end = ("\x1b[1;31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
        sys.stderr.write(f"{bold}error:{end} {_one_line(error.message)}\n")
        if error.hint:
            sys.stderr.write(f"  try: {_one_line(error.hint)}\n")

    def say(self, text: str) -> None:
        """Tells people something, unless they asked for quiet."""
        if self.verbosity >= 0:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _one_line(text: str) -> str:
    """Makes text fit for one line: what cannot be printed is written as an escape, what is very long cut inside."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"


def shown_path(path: str | os.PathLike[str]) -> str:
    """Writes a path as short as it works from the current folder."""
    relative = os.path.relpath(path)
    return os.fspath(path) if relative.startswith("..") else relative


#: How this process's command talks; set once by the command.
output = Output()
