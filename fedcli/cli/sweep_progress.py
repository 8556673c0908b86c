"""Shows jobs that run side by side: one live line in a terminal, a plain line as jobs end elsewhere."""

from __future__ import annotations

import sys
import threading
from typing import Any

from fedcli.cli.console import output
from fedcli.errors import FedcliError
from fedcli.runs.sweep import SweepDirectory, SweepRecord
from fedcli.runs.sweep_jobs import Job, last_round, read_jobs

#: Seconds between two looks at the jobs' folders.
_LOOK_SECONDS = 0.5
#: At most so many running jobs are named.
_NAMED = 6


class SweepProgress:
    """Watches the folders of a sweep's jobs while its block runs.

    Args:
        sweep: The sweep's folder.
        record: The sweep.
    """

    def __init__(self, sweep: SweepDirectory, record: SweepRecord) -> None:
        self._sweep = sweep
        self._record = record
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fedcli-sweep-progress", daemon=True)
        self._shown: tuple[int, int] | None = None
        self._live: Any = None
        if sys.stderr.isatty() and output.verbosity >= 0:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=4)

    def __enter__(self) -> SweepProgress:
        if self._live is not None:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._live is not None:
            self._live.stop()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self._show(read_jobs(self._sweep, self._record))
            except FedcliError:  # a folder cannot be read just now; the end tells what became of the jobs
                continue

    def _show(self, jobs: list[Job]) -> None:
        counts = {
            word: sum(job.status in statuses for job in jobs)
            for word, statuses in (
                ("done", ("completed",)),
                ("failed", ("failed", "damaged")),
                ("running", ("running", "elsewhere")),
            )
        }
        total = f"/{self._record.total}" if self._record.total else ""
        shown = f"{counts['done']}{total} jobs done, {counts['failed']} failed, {counts['running']} running"
        if self._live is not None:
            rounds = [
                f"{job.number + 1} ({'begins' if (round := last_round(job.run)) is None else f'round {round}'})"
                for job in jobs
                if job.status == "running"
            ]
            more = ", ..." if len(rounds) > _NAMED else ""
            self._live.update(f"{shown}:  job {', '.join(rounds[:_NAMED])}{more}" if rounds else shown)
        elif (counts["done"], counts["failed"]) != self._shown and counts["running"]:
            self._shown = counts["done"], counts["failed"]
            output.say(shown)
