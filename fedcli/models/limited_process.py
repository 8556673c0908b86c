"""Runs work that a hostile file could make endless or huge: in a child process, with limits of time and memory.

A damaged HDF5 file can keep the HDF5 library busy forever, where Python handles no signal, or make it write beyond its
memory. A fork costs milliseconds; a new interpreter would cost as much as importing NumPy and h5py again.
"""

from __future__ import annotations

import mmap
import os
import resource
import select
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Bytes of the length that comes before the output.
_LENGTH = 8
_FAILED, _TOO_MUCH = 1, 2
_SIGNALS = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL),
)


class LimitError(Exception):
    """The work did not end within its limits, or ended its process; the message says how."""


@dataclass(frozen=True)
class Limits:
    """What the work may take.

    Attributes:
        cpu_seconds: Seconds of processor time.
        seconds: Seconds altogether, more than `cpu_seconds`: a file may be on a slow disk, the machine may be busy.
        memory: Bytes beyond those that this process has.
        output: Bytes that it may return, and 8 more.
    """

    cpu_seconds: int
    seconds: float
    memory: int
    output: int


def run_limited(work: Callable[[], Iterable[bytes | memoryview]], limits: Limits) -> memoryview:
    """Runs work in a child process and returns what it yields, joined.

    Args:
        work: It runs no TensorFlow and takes no locks that another thread may hold. It raises nothing.
        limits: What it may take.

    Raises:
        LimitError: A limit was reached, or the process died.
    """
    # Shared with the child: megabytes through a pipe would take longer than the work. Pages that are not written cost
    # nothing.
    output = mmap.mmap(-1, limits.output)
    reader, writer = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _work(work, limits, output, writer)
    finally:
        os.close(writer)
    ended = False
    try:
        ended = _wait(reader, limits)
    finally:
        os.close(reader)
        # It is no longer wanted where its time is over; Ctrl-C gets here too.
        if not ended:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if status:
        raise LimitError(_end(status, limits))
    length = int.from_bytes(output[:_LENGTH], "little")
    return memoryview(output)[_LENGTH : _LENGTH + length]


def _work(work: Callable[[], Iterable[bytes | memoryview]], limits: Limits, output: mmap.mmap, writer: int) -> NoReturn:
    """Is the child, which ends here; that closes `writer`."""
    code = _FAILED
    try:
        # The parent's handlers would wait for the end of the C code, or print where Python crashed.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _lower(resource.RLIMIT_CPU, limits.cpu_seconds)
        _lower(resource.RLIMIT_AS, _address_space() + limits.memory)
        code = _fill(output, work())
    finally:
        os._exit(code)


def _fill(output: mmap.mmap, pieces: Iterable[bytes | memoryview]) -> int:
    """Writes the pieces, and before them their length; returns the code to exit with."""
    end = _LENGTH
    for piece in pieces:
        if end + len(piece) > len(output):
            return _TOO_MUCH
        output[end : end + len(piece)] = piece
        end += len(piece)
    output[:_LENGTH] = (end - _LENGTH).to_bytes(_LENGTH, "little")
    return 0


def _lower(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * _PAGE


def _wait(reader: int, limits: Limits) -> bool:
    """Waits until the child has ended, which closes its end of the pipe."""
    poller = select.poll()  # unlike select(), it takes any number of open files
    poller.register(reader, select.POLLIN)
    if not poller.poll(limits.seconds * 1000):
        raise LimitError(f"reading it did not end within {limits.seconds:g} s")
    return True


def _end(status: int, limits: Limits) -> str:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return f"reading it takes more than {limits.cpu_seconds} s of processor time"
    if os.WIFSIGNALED(status):
        return f"the library that reads it crashes ({signal.Signals(os.WTERMSIG(status)).name})"
    if os.WEXITSTATUS(status) == _TOO_MUCH:
        return "it gives more than the file can hold"
    return "reading it takes more memory than the file can need"
