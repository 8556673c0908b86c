"""Tells how far a long transfer is: a bar on a terminal, otherwise a log line at its start and its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_MIB = 2**20


@contextmanager
def transfer(what: str, total: int | None, done: int = 0, source: str = "") -> Iterator[Callable[[int], None]]:
    """Shows a transfer while the block runs.

    Args:
        what: What is happening, for example `fetching emnist_all.sqlite.lzma`.
        total: Bytes altogether, None if not known.
        done: Bytes that were there before.
        source: Where it comes from, for the log; the bar has no room for it.

    Yields:
        A function to be called with the number of bytes that each step moved.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    # stdout is for results; whoever pipes it still sees the bar.
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            DownloadColumn(binary_units=True),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda count: bar.advance(task, count)
        return

    moved = done
    started = time.monotonic()

    def advance(count: int) -> None:
        nonlocal moved
        moved += count

    already = f", {done / _MIB:.1f} already here" if done else ""
    size = "" if total is None else f" ({total / _MIB:.1f} MiB{already})"
    log.info("%s%s%s", what, f" from {source}" if source else "", size)
    yield advance
    log.info("%s: %.1f MiB after %.1f s", what, moved / _MIB, time.monotonic() - started)
