"""Keeps run.json true from a run's beginning to its end, however it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fedcli.errors import RunDirectoryError
from fedcli.runs.directory import RunDirectory
from fedcli.runs.lock import RunLock
from fedcli.runs.record import RunRecord, read_record, status_after, write_record

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Journal:
    """Keeps the record of a run that is running.

    Attributes:
        run: The run.
        record: What run.json says.
    """

    run: RunDirectory
    record: RunRecord

    def resumed(self, round: int) -> None:
        """Notes that the run goes on after so many rounds (or epochs)."""
        self.record.resume(round)
        write_record(self.run.run_json, self.record)

    def lost(self, calls: int) -> None:
        """Notes that so many more calls to workers were lost and made again."""
        if calls:
            self.record.runtime_losses += calls
            write_record(self.run.run_json, self.record)

    def privacy(self, statement: Mapping[str, Any] | None) -> None:
        """Notes what the run says of its privacy."""
        self.record.privacy = None if statement is None else dict(statement)
        write_record(self.run.run_json, self.record)


@contextmanager
def recorded(
    run: RunDirectory, *, id: str, command: str, argv: Sequence[str], overrides: Sequence[str], seed: int | None
) -> Iterator[Journal]:
    """Records a run while the block runs: `running`, then how the block ended.

    A run directory that has a run.json is taken up again; its record then keeps its id and beginning.

    Args:
        run: The folder, which exists.
        id: Six hexadecimal digits.
        command: The fedcli command.
        argv: The command line.
        overrides: Its KEY=VALUE arguments.
        seed: The run's seed; None if its config is too wrong to have one.

    Raises:
        RunDirectoryError: Another process writes the run, or run.json cannot be written.
    """
    with RunLock(run.lock):
        if run.is_recorded:
            record = read_record(run.run_json)
            record.overrides = list(overrides)
        else:
            record = RunRecord.begin(id=id, command=command, argv=argv, overrides=overrides, seed=seed)
        write_record(run.run_json, record)
        error: BaseException | None = None
        try:
            yield Journal(run, record)
        except BaseException as raised:
            error = raised
            if status_after(type(raised)) == "failed":
                _log.info("the run failed", exc_info=True)
            raise
        finally:
            record.finish(status_after(type(error) if error is not None else None), error)
            try:
                write_record(run.run_json, record)
            except RunDirectoryError:
                if error is None:  # else the first error is the one to see
                    raise
