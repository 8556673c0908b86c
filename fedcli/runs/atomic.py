"""Writes files whole or not at all, and turns a full disk or missing rights into errors for people.

The new content goes to a temporary file in the same folder, reaches the disk (fsync), and takes the place of
the old file by a rename, which a file system does in one step. Whoever reads the file, at any moment and
after any crash, finds the old content or the new, never a mixture.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fedcli.errors import RunDirectoryError
from fedcli.runs.bounded import MOST_JSON, read_bounded
from fedcli.runs.process import Process

_log = logging.getLogger(__name__)

_ELSEWHERE = "choose another place with `output_dir=PATH`"
_HINTS = {
    errno.ENOSPC: f"free space there, or {_ELSEWHERE}",
    errno.EDQUOT: f"free space there (your quota is used up), or {_ELSEWHERE}",
    errno.EFBIG: f"raise the limit on file sizes, or {_ELSEWHERE}",
    errno.EACCES: f"give yourself the right to it, or {_ELSEWHERE}",
    errno.EPERM: f"give yourself the right to it, or {_ELSEWHERE}",
    errno.EROFS: _ELSEWHERE,
    errno.ENOENT: "check the path; was the folder moved or deleted?",
}

_TEMPORARY = ".tmp~"


@contextmanager
def storage_errors(path: str | os.PathLike[str], doing: str = "write") -> Iterator[None]:
    """Translates the operating system's errors about a file.

    Args:
        path: The file that the enclosed code works on, named in the message.
        doing: What the code does to it: `write`, `read`, ...

    Raises:
        RunDirectoryError: In place of any OSError, with the reason in the message and a way out in the hint.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None else str(error)
        hint = _HINTS.get(error.errno or 0, f"check the disk, or {_ELSEWHERE}")
        raise RunDirectoryError(f"cannot {doing} {os.fspath(path)}: {reason}", hint) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to, which takes the place of `path` when the block ends well.

    For libraries that want a path, not an open file. The temporary name ends like the real one, because some
    libraries choose the format by the suffix. If the block raises, the temporary file is removed and `path`
    stays as it was.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    temporary = path.parent / f"{_temporary_prefix()}{path.name}"
    try:
        with storage_errors(path):
            yield temporary
            _fsync(temporary)
            os.replace(temporary, path)
            _fsync(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Like `atomic_path`, with the temporary file already open for writing bytes."""
    # Opened by hand, not by `tempfile`: the file gets the rights that the user's umask gives, so that
    # colleagues can read each other's runs.
    with atomic_path(path) as temporary, open(temporary, "xb") as file:
        yield file
        file.flush()


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Any) -> None:
    """Like `write_bytes`: indented JSON of the standard, so without NaN or Infinity.

    Raises:
        RunDirectoryError: The file cannot be written.
        ValueError: The document holds a number that JSON does not have.
    """
    # ASCII only: arguments that are not valid UTF-8 (lone surrogates in Python) survive as escapes.
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        RunDirectoryError: The file cannot be read, is no regular file or too large, or is no such JSON.
    """
    with storage_errors(path, "read"):
        data = read_bounded(path, MOST_JSON)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"not valid JSON ({error})") from error
    if not isinstance(document, dict):
        raise damaged(path, "not a JSON object")
    return document


def damaged(path: Path, reason: str) -> RunDirectoryError:
    """Returns the error for a file whose content makes no sense."""
    return RunDirectoryError(f"{path} is damaged: {reason}", "restore it from a copy, or start the run again")


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that killed processes left in a folder; those of living ones stay."""
    for leftover in folder.glob(f"{_TEMPORARY}*"):
        if _writer_is_dead(leftover.name):
            _log.debug("removing %s, left by a process that was killed", leftover)
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _temporary_prefix() -> str:
    writer = Process.current()
    host = writer.hostname.replace("/", "-").replace("~", "-")
    # The boot is shortened: a file name has room for 255 bytes.
    boot = writer.boot_id[:8]
    return f"{_TEMPORARY}{writer.pid}~{writer.start_ticks}~{boot}~{host}~{secrets.token_hex(4)}~"


def _writer_is_dead(name: str) -> bool:
    parts = name.removeprefix(_TEMPORARY).split("~", 5)
    if len(parts) != 6 or not parts[0].isdigit() or not parts[1].lstrip("-").isdigit():
        return False
    pid, ticks, boot, host = int(parts[0]), int(parts[1]), parts[2], parts[3]
    current = Process.current()
    if host != current.hostname.replace("/", "-").replace("~", "-"):
        return False
    if boot != current.boot_id[:8]:
        return True
    return Process(pid, ticks, current.boot_id, current.hostname).is_alive() is False


def _fsync(path: Path) -> None:
    """Brings a file's content, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; nothing better can be done there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
