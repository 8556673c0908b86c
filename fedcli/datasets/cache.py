"""Keeps fetched files: each is fetched by one process, checked before it gets its name and at every use."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fedcli.datasets.download import download
from fedcli.datasets.origin import origin_folder, resolve_origin, shown
from fedcli.errors import DataError, DownloadError
from fedcli.shell import command_line, shell_word

log = logging.getLogger(__name__)

#: What the file's name is followed by beside it, and the form of what stands there: see `content_hash`.
_CONTENT = ".content.json"
_CONTENT_FORM = 1

Unpack = Callable[[Path, Path], None]
Verify = Callable[[Path], None]


@dataclass(frozen=True)
class Record:
    """What is known of a cached file, kept beside it as `<file>.json`.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change, nanoseconds since the epoch.
        sha256: Hash of the content, hexadecimal.
        source: URL that it was fetched from.
    """

    size: int
    mtime_ns: int
    sha256: str
    source: str


def cached_path(path: str, origin: str | None = None, cache_dir: str | Path | None = None) -> Path:
    """Returns where `fetch` keeps a file, whether it is there or not.

    An archive (`.lzma`) is kept unpacked, without that ending.

    Args:
        path: Path at the origin, for example `tff-datasets-public/shakespeare.sqlite.lzma`.
        origin: See `resolve_origin`.
        cache_dir: See `resolve_cache_dir`.
    """
    return origin_folder(resolve_origin(origin), cache_dir) / path.removesuffix(".lzma")


def is_cached(file: Path) -> bool:
    """Says whether a cached file is there and, by size and time, as it was left. Reads none of it."""
    record = _read_record(file)
    return record is not None and _unchanged(file, record)


def fingerprint(file: Path) -> tuple[int, str]:
    """Returns the size and the SHA-256 hash of a file, in the cache or not.

    What the cache remembers of the file is used where size and time say that it is unchanged; else all of it is read.

    Raises:
        OSError: It cannot be read.
    """
    record = _read_record(file)
    if record is None or not _unchanged(file, record):
        record = _describe(file, "")
    return record.size, record.sha256


def content_hash(file: Path, compute: Callable[[Path], str]) -> str:
    """Returns a hash of what a cached file holds, which is remembered beside the file as `<file>.content.json`.

    The hash of a file's bytes tells less: databases with the same rows differ by the SQLite that wrote them, and by
    the time at which they were imported.

    Args:
        file: The file.
        compute: Computes the hash, which may take seconds.
    """
    memory = file.with_name(file.name + _CONTENT)
    found = file.stat()
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        known = json.loads(memory.read_text(encoding="utf-8"))
        if (known["size"], known["mtime_ns"]) == (found.st_size, found.st_mtime_ns) and known["form"] == _CONTENT_FORM:
            return str(known["content"])
    log.info("computing the fingerprint of %s", file.name)
    content = compute(file)
    known = {"form": _CONTENT_FORM, "size": found.st_size, "mtime_ns": found.st_mtime_ns, "content": content}
    with suppress(OSError):  # as it is where the cache is read-only
        _write_json(memory, known)
    return content


def fetch(
    path: str,
    origin: str | None = None,
    cache_dir: str | Path | None = None,
    *,
    verify: Verify | None = None,
    unpack: Unpack | None = None,
    name: str = "",
    wait: Callable[[float], None] | None = None,
) -> Path:
    """Returns a file from the cache, fetching it first where it is missing or damaged.

    Safe to call from several processes at once: one fetches, the others wait and use its result.

    Args:
        path: Path at the origin, for example `tff-datasets-public/shakespeare.sqlite.lzma`.
        origin: `http(s)://` or `file://` URL; see `resolve_origin`.
        cache_dir: Root of the cache; see `resolve_cache_dir`.
        verify: Called with what was fetched (and unpacked) before it is used; raises DataError, whose message
            says what is wrong, to refuse it. It may also prepare the file, such as add an index.
        unpack: Called with the archive and the file to write; raises DataError for a damaged archive. The
            archive is removed afterwards.
        name: What the user calls it (`fedcli data fetch NAME`), for hints.
        wait: Called with the seconds to wait between attempts, by default `time.sleep`.

    Returns:
        Path of the (unpacked) file. Do not change it: it would be fetched again.

    Raises:
        DownloadError: It could not be fetched.
        DataError: What was fetched is damaged, twice in a row, or the cache folder cannot be written.
        ConfigError: `origin` is not such a URL.
    """
    origin = resolve_origin(origin)
    folder = origin_folder(origin, cache_dir)
    file = cached_path(path, origin, cache_dir)
    if is_cached(file):
        _remove_leftovers(file, _fetched(f"{origin}/{path}", file, unpack))
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with only_one_process(file):
            # Another process may have fetched it while this one waited.
            if not is_intact(file, ": fetching it again"):
                _remove(file)
                _obtain(f"{origin}/{path}", file, verify, unpack, _hint(origin, folder, name), wait)
    except OSError as error:
        raise _unusable(folder, error) from error
    return file


def _unusable(folder: Path, error: OSError) -> DataError:
    elsewhere = "choose another folder with dataset.cache_dir=FOLDER or FEDCLI_CACHE=FOLDER"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"no space left in {folder}", f"free some, or {elsewhere}")
    return DataError(f"cannot use the cache folder {folder}: {error.strerror or error}", elsewhere)


def install(file: Path, source: str, write: Callable[[Path], None]) -> None:
    """Puts a file that is made here, not fetched, into the cache: whole or not at all.

    Args:
        file: Where in the cache. What is there is replaced.
        source: What it was made from, for people.
        write: Called with the path to write to. If it raises, `file` stays as it was.

    Raises:
        DataError: The cache folder cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with only_one_process(file):
            new = file.with_name(file.name + ".new")
            # Left by a process that was killed.
            new.unlink(missing_ok=True)
            try:
                write(new)
                _keep(new, file, source)
            finally:
                new.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(file.parent, error) from error


def _hint(origin: str, folder: Path, name: str) -> str:
    network = "" if origin.startswith("file:") else "the network or "
    again = f", then `{command_line('fedcli', 'data', 'fetch', name)}`" if name else ""
    return f"check {network}dataset.origin{again}; what is fetched is kept in {shell_word(folder)}"


@contextmanager
def only_one_process(file: Path) -> Iterator[None]:
    """Waits until no other process writes a file of the cache, and keeps others from it; a context manager."""
    from filelock import FileLock, Timeout

    lock = FileLock(file.with_name(file.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is writing %s: waiting for it", file.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _obtain(
    url: str,
    file: Path,
    verify: Verify | None,
    unpack: Unpack | None,
    hint: str,
    wait: Callable[[float], None] | None,
) -> None:
    """Fetches, unpacks and verifies; once more from the beginning if what came is damaged."""
    fetched = _fetched(url, file, unpack)
    # Whole, but left by a process that was ended before it was done; if damaged, that was not the server.
    attempts = 3 if fetched.exists() else 2
    for attempt in range(1, attempts + 1):
        if not fetched.exists():
            part = fetched.with_name(fetched.name + ".part")
            download(url, part, hint=hint, wait=wait)
            os.replace(part, fetched)
        try:
            _install(url, fetched, file, verify, unpack)
            return
        except DownloadError:
            raise
        except DataError as damage:
            fetched.unlink(missing_ok=True)
            if attempt == attempts:
                raise DataError(
                    f"what {shown(url)} gives is damaged: {damage.message}",
                    "try again later, or set dataset.origin to another origin",
                ) from damage
            log.warning("%s is damaged (%s): fetching it again", fetched, damage.message)


def _fetched(url: str, file: Path, unpack: Unpack | None) -> Path:
    """Returns the name that a download has until it is unpacked or checked."""
    return file.with_name(url.rpartition("/")[2] + ("" if unpack else ".fetched"))


def _remove_leftovers(file: Path, fetched: Path) -> None:
    """Removes what a process that was killed left beside a file that is whole: its archive, a piece of a download."""
    from filelock import FileLock, Timeout

    part = fetched.with_name(fetched.name + ".part")
    leftovers = (fetched, part, part.with_name(part.name + ".json"), file.with_name(file.name + ".new"))
    if not any(path.exists() for path in leftovers):
        return
    with suppress(OSError, Timeout), FileLock(file.with_name(file.name + ".lock"), timeout=0):
        # Whoever held the lock may have begun to fetch the file anew.
        if is_cached(file):
            for path in leftovers:
                path.unlink(missing_ok=True)


def _install(url: str, fetched: Path, file: Path, verify: Verify | None, unpack: Unpack | None) -> None:
    """Turns what was fetched into the cached file. Until it is verified it has another name."""
    new = file.with_name(file.name + ".new")
    try:
        if unpack:
            unpack(fetched, new)
        else:
            os.replace(fetched, new)
        if verify:
            log.info("checking %s", file.name)
            verify(new)
        _keep(new, file, shown(url))
    finally:
        new.unlink(missing_ok=True)
    fetched.unlink(missing_ok=True)


def _keep(new: Path, file: Path, source: str) -> None:
    """Gives a finished file its name."""
    _sync(new)
    # The record comes first: a file without one is refused, a record without its file means nothing.
    _write_record(file, _describe(new, source))
    os.replace(new, file)
    _sync(file.parent)


def is_intact(file: Path, then: str = "") -> bool:
    """Says whether a cached file is the one that was put there; its hash decides where its time differs.

    Args:
        file: The file.
        then: What follows if it is not, for the log.
    """
    if not file.exists():
        return False
    record = _read_record(file)
    if record is None:
        log.warning("%s was not written to its end%s", file, then)
        return False
    if _unchanged(file, record):
        return True
    size = file.stat().st_size
    if size != record.size:
        log.warning("%s has %d bytes instead of %d%s", file, size, record.size, then)
        return False
    found = _describe(file, record.source)
    if found.sha256 != record.sha256:
        log.warning("%s has changed since it was written%s", file, then)
        return False
    # Copied or touched: remember its new time, so that it is not hashed at every use.
    with suppress(OSError):  # as it is where the cache is read-only
        _write_record(file, found)
    return True


def _unchanged(file: Path, record: Record) -> bool:
    try:
        found = file.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (record.size, record.mtime_ns)


def _describe(file: Path, source: str) -> Record:
    with file.open("rb") as reader:
        digest = hashlib.file_digest(reader, "sha256").hexdigest()
    found = file.stat()
    return Record(found.st_size, found.st_mtime_ns, digest, source)


def _record_file(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def _read_record(file: Path) -> Record | None:
    try:
        return Record(**json.loads(_record_file(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_record(file: Path, record: Record) -> None:
    _write_json(_record_file(file), asdict(record))


def _write_json(target: Path, document: dict[str, object]) -> None:
    # Two processes may write it at once.
    new = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        new.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        _sync(new)
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    _record_file(file).unlink(missing_ok=True)
    file.with_name(file.name + _CONTENT).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Makes sure that a file's content, or a folder's names, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
