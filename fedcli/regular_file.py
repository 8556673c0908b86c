"""Opens files that somebody else wrote: regular ones only, since reading a pipe or a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_CHUNK = 2**20


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to read its bytes, without waiting.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: It cannot be read, or is a pipe, a device or a socket (EINVAL).
        ValueError: The path has a zero byte.
    """
    # Without O_NONBLOCK, opening a pipe waits for whoever writes it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int) -> bytes:
    """Reads a whole file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: See `open_regular`; or it has more bytes (EFBIG).
    """
    with open_regular(path) as file:
        pieces, left = [], most
        # Its size first: reading would take the memory before it shows that there is too much.
        if os.fstat(file.fileno()).st_size <= most:
            while piece := file.read(_CHUNK):
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    break
            else:
                return b"".join(pieces)
    raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
