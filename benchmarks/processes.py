"""A side as a process with all its descendants: started, timed, held while another side has its turn, and ended."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

#: A side that says nothing for so many seconds has failed.
TIMEOUT = 600
#: Seconds that a side has to end by itself once its work is done.
_GRACE = 20
_PR_SET_CHILD_SUBREAPER = 36


class SideError(Exception):
    """A side could not do its work; the message says why."""


def adopt_orphans() -> None:
    """Makes what a side leaves behind this process's child, so that it can be found and ended by its id."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """Returns the ids of a process's descendants, parents before their children."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            # Gone meanwhile, perhaps. The name in parentheses may hold anything.
            with suppress(OSError, IndexError, ValueError):
                stat = Path(f"/proc/{entry}/stat").read_text()
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = list(children.get(pid, []))
    for one in found:
        found += children.get(one, [])
    return found


def end_descendants() -> None:
    """Ends every descendant of this process: TFF's worker and the like outlive the side that started them."""
    while left := descendants(os.getpid()):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            # A grandchild is waited for in a later pass, once it is a child.
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


class Side:
    """A side's process. A context manager: leaving it ends the process and all that it started.

    Args:
        command: What to run; with `reports`, the pipe's path is added after the first `reports` arguments.
        environment: Its environment variables.
        folder: Its working folder.
        reports: Place of the pipe's path in the command; None for a process that reports nothing.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, reports: int | None = None
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="fedcli-benchmark-")
        self._log = Path(self._scratch.name) / "log"
        pipe = Path(self._scratch.name) / "events"
        os.mkfifo(pipe)
        # Open for writing too, so that there is no end of file when a writer goes.
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._buffer = b""
        self.rounds: dict[int, dict[str, Any]] = {}
        self.done: dict[str, Any] | None = None
        full = list(command) if reports is None else [*command[:reports], str(pipe), *command[reports:]]
        self.began = time.perf_counter()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                full, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.go_on()
        if error[0] is None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE)
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                if self.process.poll() is None or pid != self.process.pid:
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._pipe)
        self._scratch.cleanup()

    def hold(self) -> None:
        """Stops the process and its descendants where they are."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets them go on."""
        self._signal(signal.SIGCONT)

    def wait_for_round(self, round: int) -> float:
        """Waits until a round is done and returns the time of that.

        Raises:
            SideError: The process ended, or has said nothing for long.
        """
        while round not in self.rounds:
            self._read()
        return self.rounds[round]["at"]

    def wait_until_done(self) -> dict[str, Any]:
        """Waits for the end of the work and returns what the side says of it; likewise."""
        while self.done is None:
            self._read()
        return self.done

    def wait_for_exit(self, timeout: float = TIMEOUT) -> float:
        """Waits for the process to end well and returns the seconds since it was started.

        Raises:
            SideError: It failed, or takes too long.
        """
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise SideError(f"did not end within {timeout} s") from None
        seconds = time.perf_counter() - self.began
        if code:
            raise SideError(self._failure())
        return seconds

    @property
    def output(self) -> str:
        """What the process has written so far."""
        return self._log.read_text(errors="replace")

    def memory(self) -> tuple[float, float]:
        """Returns the resident memory of the process and its descendants now, and the sum of their peaks, in MB."""
        now = peak = 0.0
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(OSError):
                status = dict(
                    line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
                )
                now += _megabytes(status.get("VmRSS"))
                peak += _megabytes(status.get("VmHWM"))
        return now, peak

    def _read(self) -> None:
        deadline = time.perf_counter() + TIMEOUT
        while not select.select([self._pipe], [], [], 0.5)[0]:
            if self.process.poll() is not None and not select.select([self._pipe], [], [], 0)[0]:
                raise SideError(self._failure())
            if time.perf_counter() > deadline:
                raise SideError(f"said nothing for {TIMEOUT} s")
        at = time.perf_counter()
        *lines, self._buffer = (self._buffer + os.read(self._pipe, 2**16)).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message.pop("event") == "round":
                self.rounds[message.pop("round")] = {**message, "at": at}
            else:
                self.done = message

    def _failure(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return f"ended with exit code {self.process.returncode}: {' / '.join(lines[-3:])}"

    def _signal(self, number: int) -> None:
        # Parents first, so that none starts another child unseen.
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                if pid != self.process.pid or self.process.poll() is None:
                    os.kill(pid, number)


def _megabytes(field: str | None) -> float:
    """Reads a size of /proc, such as `1024 kB`."""
    return int(field.split()[0]) / 1024 if field else 0.0
