"""Whether the data's origin can be reached. Nothing is downloaded."""

from __future__ import annotations

from fedcli.datasets.origin import file_path, resolve_origin, shown
from fedcli.doctor.check import Check
from fedcli.errors import ConfigError

#: Seconds to wait for a connection, and for the answer.
TIMEOUT = (3.0, 5.0)

_ADVICE = (
    "cached data and dataset=digits work without it; behind a proxy set HTTPS_PROXY, "
    "for a mirror FEDCLI_ORIGIN=URL (http(s):// or file://)"
)


def check_origin(origin: str | None = None) -> Check:
    """Asks the origin for the headers of the data sets' archives.

    Args:
        origin: See `resolve_origin`.
    """
    from fedcli.datasets.emnist import DATABASE as EMNIST
    from fedcli.datasets.shakespeare import DATABASE as SHAKESPEARE

    try:
        root = resolve_origin(origin)
    except ConfigError as error:
        return Check("origin", "failed", error.message, error.hint)
    missing = []
    for database in (EMNIST, SHAKESPEARE):
        url = f"{root}/{database.path}"
        problem = _missing_file(url) if root.startswith("file:") else _refusal(url)
        if problem == _UNREACHABLE:
            return Check("origin", "warning", f"{shown(root)} cannot be reached within {TIMEOUT[0]:g} s", _ADVICE)
        if problem:
            missing.append(f"{shown(url)} ({problem})")
    if missing:
        return Check("origin", "warning", f"not there: {', '.join(missing)}", _ADVICE)
    return Check("origin", "passed", f"{shown(root)} has {EMNIST.name} and {SHAKESPEARE.name}")


_UNREACHABLE = "cannot be reached"


def _missing_file(url: str) -> str:
    return "" if file_path(url).is_file() else "no such file"


def _refusal(url: str) -> str:
    """Makes a HEAD request; returns what is wrong with the answer, or that there is none."""
    import requests

    try:
        response = requests.head(url, timeout=TIMEOUT, allow_redirects=True)
    except requests.exceptions.SSLError:
        return "its certificate is not trusted"
    except OSError:  # those of requests
        return _UNREACHABLE
    return "" if response.status_code == 200 else f"the server answers {response.status_code} {response.reason}"
