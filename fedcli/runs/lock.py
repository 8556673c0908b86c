"""Lets one process at a time write a run directory.

The lock is the kernel's (flock), so it ends with the process that holds it, however that process ends. The
file only says who holds it, for the message that others get.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket
import weakref
from pathlib import Path
from types import TracebackType

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import storage_errors

_log = logging.getLogger(__name__)


class RunLock:
    """The right to write a run directory, as a context manager.

    Args:
        path: The lock file, `RunDirectory.lock`. Its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock, without waiting.

        Raises:
            RunDirectoryError: Another process (named in the message) holds it, or the folder is not writable.
        """
        if self._descriptor is not None:
            raise RuntimeError(f"{self.path} is already held by this object")
        with storage_errors(self.path):
            descriptor = self._open_locked()
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        _held.add(self)

    def release(self) -> None:
        """Gives the lock back; does nothing if it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _held.discard(self)
            # Removed while still held, so that nobody else's lock can be removed; see `_open_locked`.
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            os.close(descriptor)

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _open_locked(self) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._lock(descriptor)
                if _is_file_at(descriptor, self.path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            # The holder removed the file between our opening and locking it: what we locked has no name any
            # more, and somebody else may already hold a new file of that name.
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunDirectoryError(
                f"{self.path.parent} is being written by {_holder(descriptor)}",
                "wait for that process to end or stop it, or start a new run",
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
                raise
            # A file system without locks must not keep anyone from working.
            _log.warning("%s: this file system has no locks; do not resume a run twice at once", self.path)


def _holder(descriptor: int) -> str:
    words = os.pread(descriptor, 1024, 0).decode(errors="replace").split()
    if len(words) != 2:  # it has the lock, but has not written its name yet
        return "another process"
    pid, hostname = words
    return f"process {pid}" if hostname == socket.gethostname() else f"process {pid} on {hostname}"


def _is_file_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    """Closes the copies of the locks that a forked child inherits: it must not keep them after its parent."""
    for lock in list(_held):
        descriptor, lock._descriptor = lock._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
