"""Runs the command line in this process and judges how it answered."""

import contextlib
import io
import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

#: fedcli's answer to an exception that nobody expected.
_INTERNAL = "the traceback is in the run's run.log"


@dataclass(frozen=True)
class Answer:
    """How a command ended.

    Attributes:
        code: Its exit code; None if an exception escaped.
        stderr: What it wrote there.
        escaped: The traceback of an exception that escaped.
    """

    code: int | None
    stderr: str
    escaped: str = ""

    def fault(self) -> str | None:
        """Says what is wrong with the answer, None for nothing."""
        if self.escaped:
            return f"traceback: {self.escaped.splitlines()[-1]}"
        if "Traceback (most recent call last)" in self.stderr:
            return "traceback on stderr"
        if _INTERNAL in self.stderr:
            return f"internal error: {self._errors()[0] if self._errors() else self.stderr[-300:]}"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}"
        if self.code and (len(self._errors()) != 1 or not re.search(r"^error: .+\n  try: .+\n\Z", self.stderr, re.M)):
            return f"not two lines: {self.stderr[-300:]!r}"
        return None

    def _errors(self):
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


def run(arguments) -> Answer:
    """Runs `fedcli ARGUMENTS` in this process."""
    from fedcli.cli.console import output
    from fedcli.cli.main import main

    output.json, output.debug, output.verbosity = False, False, 0
    out, err = io.StringIO(), io.StringIO()
    code, escaped, before = None, "", sys.argv
    sys.argv = ["fedcli", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except Exception:
        escaped = traceback.format_exc()
    finally:
        sys.argv = before
    return Answer(code, err.getvalue(), escaped)


def children() -> set[str]:
    """Returns the ids of this process's child processes."""
    found = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(file.read_text().split())
    return found


def files_below(folder: Path) -> set[str]:
    """Returns every file and folder below a folder, by its path from there."""
    return {
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, folders, names in os.walk(folder)
        for name in (*folders, *names)
    }


@contextlib.contextmanager
def without_training():
    """Ends every run where its training would begin: after all checks, in its folder."""
    from fedcli.cli import experiment, recorded_run

    with (
        mock.patch.object(experiment, "run_recorded", return_value={}),
        mock.patch.object(recorded_run, "run_recorded", return_value={}),
        mock.patch.object(experiment, "_report"),
    ):
        yield
