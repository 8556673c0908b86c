"""Unpacks legacy `.lzma` archives, a piece at a time, and not endlessly."""

from __future__ import annotations

import errno
import lzma
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from fedcli.datasets.progress import transfer
from fedcli.errors import DataError

_CHUNK = 2**20
#: The published EMNIST, images with much empty paper, unpacks to 28 times its size; LZMA reaches 7,000 with zeros.
_MOST_TIMES = 150
#: Small archives may unpack to this whatever their size: a database has empty pages.
_ALWAYS_ALLOWED = 2**28
#: Bytes that unpacking may take: the header says how large the dictionary is, which is 64 MiB for `xz -9`.
_MOST_MEMORY = 2**29
#: Bytes of the header of LZMA_alone: properties, dictionary size, and the size of what is packed or -1.
_HEADER, _SIZE = 13, slice(5, 13)


def unpack_lzma(archive: Path, target: Path) -> None:
    """Unpacks an archive (LZMA_alone), which may be larger than the memory.

    Raises:
        DataError: The archive is damaged, ends before its end mark, or unpacks to far more than such data does.
        OSError: It does not fit on the disk, which its header may tell before it is unpacked.
    """
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_MOST_MEMORY)
    what = f"unpacking {archive.name}"
    packed_size = archive.stat().st_size
    most = max(_ALWAYS_ALLOWED, _MOST_TIMES * packed_size)
    written = 0
    with (
        archive.open("rb") as reader,
        target.open("wb") as writer,
        transfer(what, packed_size) as advance,
    ):
        _check_header(reader, target, most)
        while not decompressor.eof:
            packed = b""
            if decompressor.needs_input:
                packed = reader.read(_CHUNK)
                if not packed:
                    raise DataError("the LZMA archive ends too early")
                advance(len(packed))
            try:
                piece = decompressor.decompress(packed, _CHUNK)
            except (lzma.LZMAError, EOFError) as error:
                raise DataError(f"not a sound LZMA archive ({error})") from error
            written += len(piece)
            if written > most:
                raise _too_large(most)
            writer.write(piece)


def _check_header(reader: BinaryIO, target: Path, most: int) -> None:
    """Refuses what cannot be unpacked by the size that the header may have, before anything is written."""
    size = int.from_bytes(reader.read(_HEADER)[_SIZE], "little")
    reader.seek(0)
    if size == 2**64 - 1:
        return
    if size > most:
        raise _too_large(most)
    if size > shutil.disk_usage(target.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))


def _too_large(most: int) -> DataError:
    return DataError(f"the LZMA archive unpacks to more than {most:,} bytes, far more than data of its size does")
