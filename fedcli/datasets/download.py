"""Fetches one file over HTTP or from a folder, to a partial file that is resumed, never taken for whole."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedcli.datasets.origin import file_path, shown
from fedcli.datasets.progress import transfer
from fedcli.errors import DownloadError
from fedcli.regular_file import open_regular

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

#: How often a request is made before giving up, and the seconds before the second one (doubled each time).
ATTEMPTS = 5
BACKOFF = 0.5
#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10.0, 60.0)

#: Bytes that no file of a data set or a model has; a server may send without end.
_LARGEST = 2**36
# Small enough that little is lost when a connection breaks within a chunk.
_CHUNK = 2**16
_RETRIED = frozenset({408, 425, 429})


class _TransientError(Exception):
    """Something that may be better the next time."""


@dataclass(frozen=True)
class _Begun:
    """What is known of the file that a `.part` is the beginning of, kept beside it as JSON.

    Attributes:
        url: Where it comes from.
        validator: Strong ETag or date of the server's file, for If-Range: it is resumed only while the server
            still has the same file. Null if the server gave none.
        total: Bytes altogether, null if the server did not say.
    """

    url: str
    validator: str | None
    total: int | None


def download(url: str, part: Path, *, hint: str = "", wait: Callable[[float], None] | None = None) -> None:
    """Fetches a file to `part`, going on where an earlier call was interrupted.

    Returns when the whole file is there and on the disk. After an error `part` is kept for the next call.

    Args:
        url: `http(s)://` or `file://`.
        part: Partial file to write. The caller sees to it that nobody else writes it.
        hint: What errors tell the user to do next.
        wait: Called with the seconds to wait between attempts, by default `time.sleep`.

    Raises:
        DownloadError: The server cannot be reached, keeps failing, or does not have the file.
        OSError: `part` cannot be written.
    """
    if url.startswith("file:"):
        _copy(url, part, hint)
        return

    import requests

    with requests.Session() as session:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _attempt(session, url, part, hint)
                _state_file(part).unlink(missing_ok=True)
                return
            except _TransientError as problem:
                if attempt == ATTEMPTS:
                    raise DownloadError(f"cannot fetch {shown(url)}: {problem}", hint) from problem
                pause = BACKOFF * 2 ** (attempt - 1)
                log.info("%s: %s; trying again in %g s", shown(url), problem, pause)
                (wait or time.sleep)(pause)


def _copy(url: str, part: Path, hint: str) -> None:
    log.info("copying %s", shown(url))
    try:
        reader = open_regular(file_path(url))
    except OSError as error:
        raise DownloadError(f"cannot fetch {shown(url)}: {error.strerror}", hint) from error
    try:
        with reader, part.open("wb") as writer:
            _refuse_full_disk(os.fstat(reader.fileno()).st_size, part)
            shutil.copyfileobj(reader, writer, 2**20)
            _flush(writer.fileno(), writer.flush)
    except BaseException:
        part.unlink(missing_ok=True)  # a copy is not resumed
        raise


def _refuse_full_disk(missing: int, part: Path) -> None:
    """Refuses to write what does not fit, before a byte is written.

    Args:
        missing: Bytes that are still to be written.
        part: The file that they are for.
    """
    if missing > shutil.disk_usage(part.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))


def _attempt(session: requests.Session, url: str, part: Path, hint: str) -> None:
    """Makes one request for what is missing of the file."""
    begun = _read_state(part, url)
    done = part.stat().st_size if begun and part.exists() else 0
    # A body that the server compresses on the way would have another length than it announces.
    headers = {"Accept-Encoding": "identity"}
    if begun and done:
        headers["Range"] = f"bytes={done}-"
        if begun.validator:
            headers["If-Range"] = begun.validator
    try:
        response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except OSError as error:  # those of requests, and a missing file of certificates
        raise _classified(error, url, hint) from error
    with response:
        if response.status_code == 416 and done:
            # Nothing is left to send: either all is here already, or the server's file is another one.
            if _content_range(response)[1] == done:
                return
            _forget(part)
            raise _TransientError("the file at the server has changed")
        _check_status(response, url, hint)
        _receive(response, url, part, begun, done, hint)


def _classified(error: OSError, url: str, hint: str) -> Exception:
    """Returns what to raise for an error of a connection: worth another attempt, or not."""
    from requests import exceptions

    passing = (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError)
    # A certificate does not become right by waiting.
    if isinstance(error, passing) and not isinstance(error, exceptions.SSLError):
        return _TransientError(_reason(error))
    return DownloadError(f"cannot fetch {shown(url)}: {_reason(error)}", hint)


def _check_status(response: requests.Response, url: str, hint: str) -> None:
    status = response.status_code
    if status >= 500 or status in _RETRIED:
        raise _TransientError(f"the server answered {status} {response.reason}")
    if status not in (200, 206):
        raise DownloadError(f"cannot fetch {shown(url)}: the server answered {status} {response.reason}", hint)


def _receive(response: requests.Response, url: str, part: Path, begun: _Begun | None, done: int, hint: str) -> None:
    """Writes the body of a response to `part` and compares its length with what was announced."""
    from requests.exceptions import RequestException

    validator = _validator(response)
    if response.status_code == 206:
        start, total = _content_range(response)
        validator = validator or (begun.validator if begun else None)
        if start != done or (begun and begun.total is not None and total != begun.total):
            _forget(part)
            raise _TransientError("the server sent another part of the file than was asked for")
    else:
        # A server that ignores Range sends the whole file: begin from zero.
        done = 0
        length = response.headers.get("Content-Length", "")
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        total = int(length) if length.isdigit() and not encoded else None

    if total is not None:
        if total > _LARGEST:
            raise _endless(url, hint)
        _refuse_full_disk(total - done, part)
    name, size = url.rpartition("/")[2], done
    with part.open("ab" if done else "wb") as writer:
        _write_state(part, _Begun(url, validator, total))
        with transfer(f"fetching {name}", total, done, shown(url)) as advance:
            try:
                for chunk in response.iter_content(_CHUNK):
                    size += len(chunk)
                    if size > (_LARGEST if total is None else total):
                        break
                    writer.write(chunk)
                    advance(len(chunk))
            except RequestException as error:
                raise _classified(error, url, hint) from error
            finally:
                _flush(writer.fileno(), writer.flush)
    if total is None and size > _LARGEST:
        _forget(part)
        raise _endless(url, hint)
    if total is not None and size < total:
        raise _TransientError(f"the connection ended after {size} of {total} bytes")
    if total is not None and size > total:
        _forget(part)
        raise _TransientError(f"more bytes came than the {total} that were announced")


def _endless(url: str, hint: str) -> DownloadError:
    return DownloadError(f"cannot fetch {shown(url)}: it has more than {_LARGEST:,} bytes", hint)


def _flush(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """Returns the first byte and the total size that a Content-Range header names."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not match:
        return None, None
    start, total = match.groups()
    return (int(start) if start else None), (int(total) if total != "*" else None)


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag", "")
    # RFC 9110 allows only a strong ETag, or a date, in If-Range.
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_state(part: Path, url: str) -> _Begun | None:
    try:
        begun = _Begun(**json.loads(_state_file(part).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return begun if begun.url == shown(url) else None


def _write_state(part: Path, begun: _Begun) -> None:
    state = asdict(begun) | {"url": shown(begun.url)}
    _state_file(part).write_text(json.dumps(state), encoding="utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    """Returns the cause of an error of `requests` in a few words, without its nested representations."""
    import requests

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]:g} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no data for {TIMEOUT[1]:g} s"
    seen: set[int] = set()
    cause: object = error
    reason = ""
    while isinstance(cause, BaseException) and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        inner = getattr(cause, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((argument for argument in cause.args if isinstance(argument, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    return reason or " ".join(str(error).split())
