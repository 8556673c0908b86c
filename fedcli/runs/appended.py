"""A file that grows piece by piece, each of which is on the disk when it is there, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fedcli.runs.atomic import storage_errors
from fedcli.runs.bounded import MOST_METRICS, read_bounded


class AppendedFile:
    """Appends to a file, which is made if it is not there.

    Args:
        path: The file. Its folder must exist.
        whole: From what the file holds to the number of its bytes that are worth keeping: the others are a piece that
            a killed process left half written, and are cut off. May raise, which leaves the file as it is.

    Raises:
        RunDirectoryError: The file cannot be read or written.
    """

    def __init__(self, path: Path, whole: Callable[[bytes], int]) -> None:
        self.path = path
        with storage_errors(path):
            # Not waiting for the reader of a FIFO, which is then refused.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
            try:
                self.size = whole(read_bounded(path, MOST_METRICS))
                if os.fstat(descriptor).st_size != self.size:
                    os.ftruncate(descriptor, self.size)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor: int | None = descriptor

    def append(self, data: bytes) -> None:
        """Writes a piece.

        Raises:
            RunDirectoryError: It cannot be written; the file is then as it was before.
        """
        if self._descriptor is None:
            raise ValueError(f"{self.path}: the file is closed")
        written = 0
        try:
            with storage_errors(self.path):
                while written < len(data):
                    written += os.pwrite(self._descriptor, data[written:], self.size + written)
                os.fsync(self._descriptor)
        except BaseException:
            # A full disk, or an interrupt, can leave a part: a later piece would be glued to it.
            with storage_errors(self.path):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Closes the file; there is nothing left to write."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
