"""Keeps run.json true from a run's beginning to its end, however it ends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.runs.atomic import remove_leftovers
from fedcli.runs.deferred import signals_deferred
from fedcli.runs.directory import RunDirectory
from fedcli.runs.inputs import differences
from fedcli.runs.lock import RunLock
from fedcli.runs.record import RunRecord, read_record, status_after, write_record

_log = logging.getLogger(__name__)


class Journal:
    """Keeps the record of a run.

    A run that is taken up again is left as it was until `begin`: whatever refuses to go on comes before, and then not a
    byte of the run's folder has changed.

    Attributes:
        run: The run.
        record: What run.json says, or is going to say from `begin` on.
    """

    def __init__(self, run: RunDirectory, record: RunRecord, on_begin: Callable[[], None]) -> None:
        self.run = run
        self.record = record
        self._on_begin = on_begin
        self._has_begun = False
        self._log_size = run.run_log.stat().st_size if run.run_log.is_file() else 0

    def refuse_other(self, inputs: Mapping[str, Any]) -> None:
        """Refuses to go on with a run whose data, first model or third parties' code have changed.

        Args:
            inputs: What the run would go on with; see `fedcli.runs.inputs`.

        Raises:
            ConfigError: They have.
        """
        if changed := differences(self.record.inputs, inputs):
            raise ConfigError(
                f"{self.run} was made with other inputs: {'; '.join(changed)}",
                "restore what the run began with (its run.json names it), or start a new run",
            )

    def begin(self, inputs: Mapping[str, Any] | None = None, resumed_after: int | None = None) -> None:
        """Begins to write the run's folder; for a new run, which has begun already, only notes the inputs.

        Args:
            inputs: What the run is made from; see `fedcli.runs.inputs`.
            resumed_after: The rounds (or epochs) after which the run goes on; None if it begins at the first.
        """
        if resumed_after is None and inputs is not None:
            # Of a run that goes on without known inputs, they stay unknown: those of its first rounds are.
            self.record.inputs = dict(inputs)
        if self._has_begun:
            self.write()
            return
        before = self.record.fedcli_versions()
        remove_leftovers(self.run.path)
        self.record.resume(resumed_after)
        if before and self.record.fedcli_versions() != before:
            _log.warning(
                "%s was made by fedcli %s, and goes on with fedcli %s: numbers may differ; run.json notes it",
                self.run,
                before[-1],
                self.record.fedcli_versions()[-1],
            )
        # run.json comes first: a run that is killed here can be taken up again by what run.json says.
        self._has_begun = True
        self.write()
        self._on_begin()

    def write(self) -> None:
        """Writes run.json."""
        write_record(self.run.run_json, self.record)

    def lost(self, calls: int) -> None:
        """Notes that so many more calls to workers were lost and made again."""
        if calls:
            self.record.runtime_losses += calls
            self.write()

    def privacy(self, statement: Mapping[str, Any] | None) -> None:
        """Notes what the run says of its privacy."""
        self.record.privacy = None if statement is None else dict(statement)
        self.write()

    def end(self, error: BaseException | None) -> None:
        """Notes how the run ended, unless it was refused before it began; a second call changes nothing."""
        if not self._has_begun:
            self._take_back_log()
        if not self._has_begun or self.record.status != "running":
            return
        self.record.finish(status_after(type(error) if error is not None else None), error)
        try:
            self.write()
        except RunDirectoryError:
            if error is None:  # else the first error is the one to see
                raise

    def _take_back_log(self) -> None:
        """Takes back what TFF's worker, which writes run.log by itself, wrote before the run was refused."""
        with suppress(OSError):
            if self.run.run_log.stat().st_size > self._log_size:
                os.truncate(self.run.run_log, self._log_size)


@contextmanager
def recorded(
    run: RunDirectory,
    *,
    id: str,
    command: str,
    argv: Sequence[str],
    overrides: Sequence[str],
    seed: int | None,
    is_new: bool | None = None,
    on_begin: Callable[[], None] = lambda: None,
) -> Iterator[Journal]:
    """Records a run while the block runs: `running`, then how the block ended.

    A run directory that has a run.json is taken up again; its record then keeps its id and beginning, and nothing is
    written before the block calls `Journal.begin`.

    Args:
        run: The folder, which exists.
        id: Six hexadecimal digits.
        command: The fedcli command.
        argv: The command line.
        overrides: Its KEY=VALUE arguments.
        seed: The run's seed; None if its config is too wrong to have one.
        is_new: Whether the folder must hold no run yet; None where both will do.
        on_begin: Called when the folder may be written, right after run.json is.

    Raises:
        RunDirectoryError: Another process writes the run, it is there already, or run.json cannot be written.
    """
    lock = RunLock(run.lock)
    lock.acquire()
    try:
        if run.is_recorded:
            if is_new:  # another process was faster
                raise RunDirectoryError(f"{run} holds a run already", "choose another folder: hydra.run.dir=FOLDER")
            record = read_record(run.run_json)
            record.overrides = list(overrides)
            journal = Journal(run, record, on_begin)
        else:
            record = RunRecord.begin(id=id, command=command, argv=argv, overrides=overrides, seed=seed)
            journal = Journal(run, record, on_begin)
            journal.begin()  # its inputs are not known yet
    except BaseException:
        lock.release()
        raise
    error: BaseException | None = None
    try:
        yield journal
    except BaseException as raised:
        error = raised
        if status_after(type(raised)) == "failed":
            _log.info("the run failed", exc_info=True)
        raise
    finally:
        try:
            _end(journal, lock, error)
        except KeyboardInterrupt:  # in the moment before signals are held back
            _end(journal, lock, error)
            raise


def _end(journal: Journal, lock: RunLock, error: BaseException | None) -> None:
    with signals_deferred():
        try:
            journal.end(error)
        finally:
            lock.release()
