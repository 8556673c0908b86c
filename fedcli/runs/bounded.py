"""Reads files of run folders that anybody may have written: a FIFO, a device or a file without an end is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fedcli.errors import RunDirectoryError

_MEBI = 2**20
#: More than any run.json, result.json or sweep.json: 100,000 jobs are listed in 20 MiB.
MOST_JSON = 64 * _MEBI
#: A config names a few thousand clients at most.
MOST_YAML = _MEBI
#: A million rounds of the common columns.
MOST_METRICS = 256 * _MEBI
#: A log: years of one line a round.
MOST_LOG = 64 * _MEBI


def read_bounded(path: Path, most: int) -> bytes:
    """Reads a whole file.

    Type and size are looked at before it is read, and no more is read than allowed, whatever the size was said to be.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        RunDirectoryError: It is no regular file, or a larger one.
    """
    # Before it is opened, since opening a device can do something; and after, since it may be another by then.
    _check(path, os.stat(path), most)
    # Opening a FIFO would wait for somebody who writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor), most)
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, most)
    return data


def _check(path: Path, status: os.stat_result, most: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        return  # opening or reading it says so
    if not stat.S_ISREG(status.st_mode):
        raise RunDirectoryError(
            f"{path} is no regular file, but a device, a FIFO or a socket", "remove it; fedcli wrote no such file"
        )
    if status.st_size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> RunDirectoryError:
    return RunDirectoryError(
        f"{path} is larger than {most // _MEBI} MiB, which no such file of fedcli is", "restore it from a copy"
    )
