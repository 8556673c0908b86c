"""One job of a sweep, in whichever process the launcher runs it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from fedcli.cli.console import Output, output
from fedcli.errors import FedcliError, Interrupted, RunDirectoryError
from fedcli.runs.directory import RunDirectory
from fedcli.runs.sweep import SweepDirectory, SweepRecord

if TYPE_CHECKING:
    from omegaconf import DictConfig

_log = logging.getLogger(__name__)

#: Seconds between two looks at whether a job in a process of its own is to stop.
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class SweepJob:
    """What Hydra calls with each job's config; travels to other processes.

    It raises nothing, since Hydra would end the sweep: what becomes of a job stands in its folder.

    Attributes:
        folder: The sweep's folder, an absolute path.
        record: The sweep.
        finished: Jobs that an earlier process has completed.
        side_by_side: Whether the job has a process of its own, and others run beside it.
        cores: Cores that it may use; None for all.
        fail_fast: Whether no job begins after the first that fails.
        output: How the command talks.
        begun: Jobs that were begun by an earlier launch of this sweep, which broke: they are left as they are.
    """

    folder: Path
    record: SweepRecord
    finished: frozenset[int]
    side_by_side: bool
    cores: int | None
    fail_fast: bool
    output: Output
    begun: frozenset[int] = frozenset()

    def __call__(self, config: DictConfig) -> float | None:
        """Runs the job, unless it is done or the sweep is to stop.

        Returns:
            The run's objective, for sweepers that optimise it; None if it has none.
        """
        from hydra.core.hydra_config import HydraConfig

        from fedcli.config.objective import objective_value
        from fedcli.runs.result import read_result
        from fedcli.runs.sweep_jobs import write_table

        number = int(HydraConfig.get().job.num)
        sweep = SweepDirectory(self.folder)
        run = sweep.job(number)
        if sweep.stop_reason() or number in self.begun:
            return None
        with self._own_process(sweep) if self.side_by_side else nullcontext():
            try:
                if number not in self.finished:
                    self._run(config, run, number)
                return objective_value(str(config.get("objective")), read_result(run.result_json))
            except Interrupted as error:
                _log.debug("job %d: %s", number, error)
                _ask_to_stop(sweep, "interrupted")
            except Exception as error:
                output.say(f"{self._label(number)} failed: {error}")
                _log.debug("job %d", number, exc_info=True)
                if self.fail_fast:
                    _ask_to_stop(sweep, "failed")
            finally:
                try:
                    write_table(sweep, self.record)
                except RunDirectoryError as error:
                    _log.warning("%s", error)
                # Graphs and sessions refer to each other, and Python does not see how much memory they hold.
                gc.collect()
                if self.side_by_side and self.record.is_alive() is False:
                    # The process that runs the sweep was killed: nobody gives this one more work, or ends it.
                    os._exit(Interrupted.exit_code)
        return None

    def _run(self, config: DictConfig, run: RunDirectory, number: int) -> None:
        from hydra.core.hydra_config import HydraConfig

        from fedcli.cli.hydra_bridge import to_typed
        from fedcli.cli.kinds import kind_of
        from fedcli.cli.progress import duration
        from fedcli.cli.recorded_run import RunContext, run_recorded
        from fedcli.runs.recorded import recorded
        from fedcli.runtime.tensorflow_settings import set_up_tensorflow

        set_up_tensorflow()  # in another process, or on another machine, nobody has yet
        overrides = [override.lstrip("+") for override in HydraConfig.get().overrides.task]
        output.say(f"{self._label(number)}: {' '.join(self.record.differing(overrides))}")
        kind = kind_of(self.record.command)
        context = RunContext(self.record.command, self.record.argv, overrides, RunDirectory.new_id(), config)
        try:
            typed_config = kind.check(to_typed(config, kind.schema, sweep=True))
            if not run.is_recorded:
                kind.check_new(typed_config)
        except Exception:
            # So that its folder tells why there is no run.
            seed = config.get("seed")
            with recorded(
                run,
                id=context.run_id,
                command=context.command,
                argv=context.argv,
                overrides=overrides,
                seed=seed if type(seed) is int else None,
            ):
                raise
        result = run_recorded(kind, typed_config, run, context, kind.progress(self._label(number)))
        accuracy = result["final"].get("eval/accuracy")
        shown = "" if accuracy is None else f", held-out accuracy {accuracy:.4f}"
        output.say(
            f"{self._label(number)} done: {result['rounds']} {kind.length} in {duration(result['seconds'])}{shown}"
        )

    def _label(self, number: int) -> str:
        return f"job {number + 1}" + (f"/{self.record.total}" if self.record.total else "")

    @contextmanager
    def _own_process(self, sweep: SweepDirectory) -> Iterator[None]:
        """Makes this process one that runs a job: silent, with its share of cores, ended by the sweep's folder.

        Its process group is its own, so that Ctrl-C in the terminal reaches the sweep's process only, which asks
        the jobs to stop; a signal that came twice would end the run at once.
        """
        from fedcli.runtime.local import cores_shared

        with suppress(OSError):  # it leads a session
            os.setpgid(0, 0)
        before = dict(vars(output))
        vars(output).update(vars(self.output) | {"json": False, "verbosity": -1})
        logging.captureWarnings(True)
        root = logging.getLogger()
        # Without a handler, warnings would go to the terminal.
        handlers, level, root.handlers = root.handlers, root.level, [logging.NullHandler()]
        root.setLevel(logging.INFO)
        try:
            with cores_shared(self.cores), _stoppable(sweep, self.record):
                yield
        finally:
            vars(output).update(before)
            root.handlers = handlers
            root.setLevel(level)


@contextmanager
def _stoppable(sweep: SweepDirectory, record: SweepRecord) -> Iterator[None]:
    """Ends the block's job when the sweep is asked to stop, or when the process that runs the sweep is gone."""
    ended = threading.Event()

    def look() -> None:
        asked = False
        while not ended.wait(_LOOK_SECONDS):
            reason = sweep.stop_reason()
            if reason == "now":
                # As by the user's second Ctrl-C: threads that train clients are not waited for.
                os.kill(os.getpid(), signal.SIGKILL)
            if not asked and (reason == "interrupted" or record.is_alive() is False):
                asked = True
                os.kill(os.getpid(), signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted("stopped before the first round", "go on with --resume")

    in_main_thread = threading.current_thread() is threading.main_thread()
    # Before the run handles the signal itself, and after.
    before = signal.signal(signal.SIGTERM, stop) if in_main_thread else None
    watcher = threading.Thread(target=look, name="fedcli-sweep", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


def _ask_to_stop(sweep: SweepDirectory, reason: str) -> None:
    try:
        sweep.ask_to_stop(reason)  # type: ignore[arg-type]
    except FedcliError as error:
        _log.warning("%s", error)
