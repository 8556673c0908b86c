"""What people and programs see: stderr is for people, stdout for the one document that `--json` asks for."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedcli.cli.streams import ReaderGone
from fedcli.errors import FedcliError, OutputError

#: A longer line of an error is cut.
_LONGEST = 800


@dataclass
class Output:
    """How a command talks.

    Attributes:
        json: Print one JSON document on stdout, errors included.
        verbosity: -1 for errors only, 0 for progress, 1 for what is logged too.
        debug: Show the traceback of an error.
        run_log: The log that has the traceback of the error that ended the command; None if there is none.
        go_on: The command that goes on with the run or sweep that has begun; empty if none has.
    """

    json: bool = False
    verbosity: int = 0
    debug: bool = False
    run_log: Path | None = None
    go_on: str = ""

    def document(self, value: Any) -> None:
        """Prints the command's JSON document.

        Raises:
            OutputError: stdout cannot be written.
            ReaderGone: Nobody reads stdout.
        """
        self.result(json.dumps(value, indent=2) + "\n")
        sys.stdout.flush()

    def result(self, text: str) -> None:
        """Prints text on stdout; characters that its encoding lacks become escapes.

        Raises:
            OutputError: stdout cannot be written.
            ReaderGone: Nobody reads stdout.
        """
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def error(self, error: FedcliError) -> None:
        """Prints an error: two lines on stderr, or a document on stdout if that can be written."""
        if self.json:
            shown = {
                "type": type(error).__name__,
                "message": error.message,
                "hint": error.hint,
                "exit_code": error.exit_code,
            }
            try:
                self.document({**error.details, "error": shown})
                return
            except (OutputError, ReaderGone):
                pass
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


def can_show(characters: str) -> bool:
    """Tells whether stdout's encoding has these characters."""
    try:
        characters.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


#: How this process's command talks; set once by the command.
output = Output()
