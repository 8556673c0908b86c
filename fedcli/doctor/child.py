"""Runs a Python program beside this one and keeps what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

#: A machine that needs longer than this for an import, or for one round, is of no use for experiments.
LIMIT_SECONDS = 300.0


@dataclass(frozen=True)
class Ended:
    """How a child process ended.

    Attributes:
        code: Exit code, negative for a signal, None if it was ended for taking too long.
        stdout: What it wrote to stdout.
        last_line: The last line that it wrote to stderr.
    """

    code: int | None
    stdout: str
    last_line: str

    def reason(self) -> str:
        """Says how it ended, for people."""
        if self.code is None:
            return f"was not done within {LIMIT_SECONDS:g} s"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        return self.last_line or f"ended with exit code {self.code}"


class Child:
    """A child process. A context manager: leaving it ends the process if it still runs.

    Args:
        arguments: Arguments to the Python interpreter.
        limit: Seconds that it may take.
    """

    def __init__(self, *arguments: str, limit: float = LIMIT_SECONDS) -> None:
        self._limit = limit
        # Files, not pipes: nothing has to be read while it runs.
        self._stdout: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        # TensorFlow's own messages, which would hide the last line of an error.
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE"}
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            env=environment,
        )

    def wait(self) -> Ended:
        """Waits until it has ended, and ends it where it takes too long."""
        code: int | None
        try:
            code = self._process.wait(self._limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = None
        lines = [line for line in _content(self._stderr).splitlines() if line.strip()]
        return Ended(code, _content(self._stdout), lines[-1].strip() if lines else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # TFF's worker notices the end of its parent by itself.
        self._process.kill()
        self._process.wait()
        self._stdout.close()
        self._stderr.close()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
