"""What a run ran on: versions, git commit, machine. Collected without importing any of the packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

import fedcli

_GIT_TIMEOUT = 5.0  # seconds; a slow network file system must not hold up a run


def versions() -> dict[str, str | None]:
    """Returns the versions that results depend on; None for a package that is not installed."""
    return {
        "fedcli": fedcli.__version__,
        "python": platform.python_version(),
        "tensorflow": _version("tensorflow"),
        "tensorflow_federated": _version("tensorflow-federated"),
        "numpy": _version("numpy"),
    }


def git_state(folder: str | os.PathLike[str] = ".") -> dict[str, Any] | None:
    """Returns the `commit` that a folder has checked out, and whether it is `dirty`.

    Dirty means that files under git's control differ from the commit. Untracked files do not count: the run's
    own outputs are among them.

    Returns:
        None where there is no git, no repository or no commit, or where git does not answer in time.
    """
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.decode(errors="replace").splitlines()
    commits = [line.split()[-1] for line in lines if line.startswith("# branch.oid ")]
    if not commits or not commits[0].isalnum():  # `(initial)`: no commit yet
        return None
    return {"commit": commits[0], "dirty": any(not line.startswith("#") for line in lines)}


def host() -> dict[str, Any]:
    """Returns the machine: `hostname`, `platform`, `cpus` this process may use, `memory_bytes` in all."""
    return {
        "hostname": socket.gethostname(),
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
