"""The memory that this process may use at most."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path


def memory_limit(root: Path = Path("/")) -> int | None:
    """Returns the bytes that this process can use at most; None if nothing states a limit.

    This is the least of the machine's memory and swap, the limits of the process's control groups (as containers and
    cluster schedulers set them), and its address space. Other processes may leave less.

    Args:
        root: The folder that holds `proc` and `sys`.
    """
    return min((*_machine(root), *_control_groups(root), *_address_space()), default=None)


def _machine(root: Path) -> Iterator[int]:
    sizes = dict(line.split(":", 1) for line in _read(root / "proc/meminfo").splitlines() if ":" in line)
    kibibytes = [_number(sizes.get(key, "").removesuffix("kB")) for key in ("MemTotal", "SwapTotal")]
    if kibibytes[0]:
        yield 1024 * sum(size or 0 for size in kibibytes)


def _control_groups(root: Path) -> Iterator[int]:
    """Yields the limits of the process's groups and of those that contain them, in both versions of control groups."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers == "":
            top, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / name.lstrip("/")
        for folder in (group, *group.parents):
            limit = _number(_read(folder / file))
            if limit is not None:
                yield limit
            if folder == top:
                break


def _address_space() -> Iterator[int]:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() else None
