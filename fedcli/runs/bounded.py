"""Reads files of run folders that anybody may have written: a FIFO, a device or a file without an end is refused."""

from __future__ import annotations

import errno
from pathlib import Path

from fedcli.errors import RunDirectoryError
from fedcli.regular_file import read_regular

_MEBI = 2**20
#: More than any run.json, result.json or sweep.json: 100,000 jobs are listed in 20 MiB.
MOST_JSON = 64 * _MEBI
#: A million rounds of the common columns.
MOST_METRICS = 256 * _MEBI
#: A log: years of one line a round.
MOST_LOG = 64 * _MEBI


def read_bounded(path: Path, most: int) -> bytes:
    """Reads a whole file of a run folder; see `read_regular`.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        RunDirectoryError: It is no regular file, or a larger one.
    """
    try:
        return read_regular(path, most)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise RunDirectoryError(
                f"{path} is no regular file, but a device, a FIFO or a socket", "remove it; fedcli wrote no such file"
            ) from error
        if error.errno == errno.EFBIG:
            raise _too_large(path, most) from error
        raise


def _too_large(path: Path, most: int) -> RunDirectoryError:
    return RunDirectoryError(
        f"{path} is larger than {most // _MEBI} MiB, which no such file of fedcli is", "restore it from a copy"
    )
