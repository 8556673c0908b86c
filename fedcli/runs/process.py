"""Names a process so that a later reader can tell whether it still lives.

A process id alone is not enough: ids are used again, after a reboot or in a container even the same ones. The
id together with the time at which the process started, counted since a boot that is named too, is unique on
one machine.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process of one machine.

    Attributes:
        pid: Process id.
        start_ticks: When it started, in clock ticks since the machine's boot; -1 when not known.
        boot_id: Identifies the boot; empty when not known.
        hostname: The machine.
    """

    pid: int
    start_ticks: int
    boot_id: str
    hostname: str

    @classmethod
    def current(cls) -> Process:
        """Returns the process that calls this."""
        pid = os.getpid()  # not cached: a forked child is another process
        return cls(pid, _start_ticks(pid) or -1, _boot_id(), socket.gethostname())

    def is_alive(self) -> bool | None:
        """Tells whether the process still runs, or None when it belongs to another machine."""
        if self.hostname != socket.gethostname():
            return None
        if self.boot_id != _boot_id():
            return False
        ticks = _start_ticks(self.pid)
        return ticks is not None and self.start_ticks in (-1, ticks)


def _start_ticks(pid: int) -> int | None:
    """Reads when a process started, in ticks since boot; None if there is no such living process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
        # The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
        fields = stat[stat.rindex(")") + 1 :].split()
        state, ticks = fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
    # A zombie has ended: only its parent has not asked for its exit code yet.
    return None if state in ("Z", "X") else ticks


@cache
def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
