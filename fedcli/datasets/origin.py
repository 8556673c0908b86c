"""Where data is fetched from (the origin) and where it is kept (the cache folder of that origin)."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from fedcli.errors import ConfigError
from fedcli.masking import has_password
from fedcli.passwords import password_error

#: Scheme and host of TensorFlow Federated's public buckets.
PUBLISHED_ORIGIN = "https://storage.googleapis.com"

_SCHEMES = ("http", "https", "file")
_READABLE_LENGTH = 60


def resolve_origin(origin: str | None = None) -> str:
    """Returns the origin in use: the argument, else FEDCLI_ORIGIN, else the published one.

    The environment variable may hold a user name and a password. The argument comes from a config or a command line,
    which others see, so it may not; `~/.netrc` works for both.

    Args:
        origin: `http(s)://...` or `file:///...`, or None.

    Returns:
        The origin without a trailing slash, so that two spellings share one cache folder.

    Raises:
        ConfigError: It is not such a URL, has a query, or is an argument with a password.
    """
    if origin is not None and has_password(origin):
        raise password_error("dataset.origin", origin)
    value = origin or os.environ.get("FEDCLI_ORIGIN") or PUBLISHED_ORIGIN
    parts = urlsplit(value)
    if parts.scheme.lower() not in _SCHEMES or (parts.scheme.lower() != "file" and not parts.netloc):
        raise ConfigError(
            f"dataset.origin={value}: not an http(s):// or file:// URL",
            f"for a folder: dataset.origin=file://{quote(str(Path(value).expanduser().resolve()))}"
            if "://" not in value
            else f"for example {PUBLISHED_ORIGIN}, or file:///path/to/a/mirror",
        )
    if parts.scheme.lower() == "file" and parts.netloc.lower() not in ("", "localhost"):
        raise ConfigError(
            f"dataset.origin={value}: a file:// URL takes an absolute path, after three slashes",
            f"dataset.origin=file://{quote(str(Path(unquote(parts.netloc + parts.path)).resolve()))}",
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            f"dataset.origin={value} has a query, and an origin has none: files are at ORIGIN/PATH",
            f"leave it out: dataset.origin={urlunsplit(parts._replace(query='', fragment=''))}",
        )
    netloc = "" if parts.scheme.lower() == "file" else parts.netloc.lower()
    return urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", ""))


def resolve_cache_dir(cache_dir: str | Path | None = None) -> Path:
    """Returns the root of the cache: the argument, else FEDCLI_CACHE, else `~/.cache/fedcli`."""
    return Path(cache_dir or os.environ.get("FEDCLI_CACHE") or "~/.cache/fedcli").expanduser().absolute()


def origin_folder(origin: str, cache_dir: str | Path | None = None) -> Path:
    """Returns the folder that files of one origin are kept in.

    Its name tells a person which origin it is; the hash keeps apart origins whose readable part is the same.

    Args:
        origin: What `resolve_origin` returned.
        cache_dir: Root of the cache; see `resolve_cache_dir`.
    """
    parts = urlsplit(origin)
    # The user name and password that a URL may carry do not belong in a folder name.
    host = parts.netloc.rpartition("@")[2] or parts.scheme
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", host + parts.path).strip("-.")[-_READABLE_LENGTH:].lstrip("-.")
    return resolve_cache_dir(cache_dir) / f"{readable}-{hashlib.sha256(origin.encode()).hexdigest()[:8]}"


def shown(url: str) -> str:
    """Returns a URL as messages, logs and records show it: without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def file_path(url: str) -> Path:
    """Returns the path of a `file://` URL."""
    return Path(unquote(urlsplit(url).path))
