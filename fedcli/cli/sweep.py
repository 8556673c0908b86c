"""A sweep: from its arguments to its jobs, wherever they run, and to the report of what became of them."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from hydra.plugins.launcher import Launcher

from fedcli.cli.console import output
from fedcli.cli.hydra_bridge import innermost_reason, launch
from fedcli.cli.run_once import RunOnce, SearchStopped
from fedcli.cli.search import silence_optuna
from fedcli.cli.streams import not_waiting_for_readers
from fedcli.cli.sweep_job import SweepJob
from fedcli.cli.sweep_plan import SweepPlan, plan_sweep
from fedcli.cli.sweep_progress import SweepProgress
from fedcli.cli.sweep_report import SearchEnd, report_sweep
from fedcli.cli.sweep_resume import finished_jobs, resumed_plan
from fedcli.cli.used_folder import refuse_used
from fedcli.columns import Direction
from fedcli.config.objective import objective_value
from fedcli.errors import ConfigError, FedcliError
from fedcli.runs.atomic import remove_leftovers, storage_errors
from fedcli.runs.lock import RunLock
from fedcli.runs.sweep import SweepDirectory, write_sweep
from fedcli.runs.sweep_jobs import read_job, read_jobs, write_table
from fedcli.runtime.cluster.connection import lock_local_ray
from fedcli.shell import shown_path
from fedcli.training.interrupts import stop_signals

if TYPE_CHECKING:
    from fedcli.cli.arguments import Arguments

_log = logging.getLogger(__name__)


def run_sweep(arguments: Arguments) -> None:
    """Runs a sweep, or goes on with one.

    Raises:
        FedcliError: The arguments or the config are wrong, or not all jobs completed.
    """
    began = time.monotonic()
    plan = resumed_plan(arguments) if arguments.resume else None
    if plan is None:
        plan = plan_sweep(arguments)
        _refuse_taken(plan)
        if arguments.resume:
            output.say("no sweep of these overrides yet; starting a new one")
        finished: frozenset[int] = frozenset()
        if plan.direction is not None:
            output.say(f"search for the {_EXTREMES[plan.direction]} {plan.objective}")
    else:
        finished = finished_jobs(plan)
    sweep, record = plan.sweep, plan.record
    search: SearchEnd | None = None
    with _folder_of(sweep), RunLock(sweep.lock):
        if record.total is not None and len(finished) == record.total:
            output.say("every job of the sweep is completed; nothing to do")
        else:
            remove_leftovers(sweep.path)
            write_sweep(sweep.sweep_json, record)
            if record.jobs is not None:  # a search is not resumed
                output.go_on = f"fedcli {record.command} -m --resume {shown_path(sweep.path)}"
            sweep.forget_stop()
            try:
                search = _run_jobs(plan, finished, fail_fast=arguments.fail_fast)
            finally:
                write_sweep(sweep.sweep_json, dataclasses.replace(record, process=None))
        interrupted = sweep.stop_reason() in ("interrupted", "now")
        sweep.forget_stop()
        jobs = write_table(sweep, record)
    report_sweep(
        sweep,
        record,
        jobs,
        seconds=time.monotonic() - began,
        finished=len(finished),
        interrupted=interrupted,
        config_dirs=arguments.config_dirs,
        search=search,
    )


_EXTREMES = {Direction.MAXIMIZE: "largest", Direction.MINIMIZE: "smallest"}


@contextmanager
def _folder_of(sweep: SweepDirectory) -> Iterator[None]:
    """Makes a sweep's folder, and takes it away again if the block raises before any job has begun."""
    made = [folder for folder in (sweep.path, *sweep.path.parents) if not folder.exists()]
    with storage_errors(sweep.path):
        sweep.path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except Exception:
        if made and not any(sweep.job(number).is_recorded for number in sweep.numbers()):
            shutil.rmtree(sweep.path, ignore_errors=True)
            with suppress(OSError):  # another sweep is there by now
                for folder in made[1:]:
                    folder.rmdir()
        raise


def _run_jobs(plan: SweepPlan, finished: frozenset[int], *, fail_fast: bool) -> SearchEnd | None:
    """Lets Hydra run the jobs. What becomes of them stands in their folders.

    Returns:
        How a search ended; None where the jobs are known before.

    Raises:
        Exception: Hydra or its launcher failed before any job began.
    """
    sweep, spread = plan.sweep, plan.spread
    job = SweepJob(sweep.path.absolute(), plan.record, finished, spread.side_by_side, spread.cores, fail_fast, output)
    if spread.starts_ray:
        lock_local_ray()
    with ExitStack() as stack:
        stack.enter_context(not_waiting_for_readers())
        if spread.side_by_side:
            stack.enter_context(_asking_jobs_to_stop(sweep))
            stack.enter_context(SweepProgress(sweep, plan.record))
        if plan.is_search:
            return _launch_search(plan, job)
        while (begun := _launch(plan, job)) is not None:
            job = dataclasses.replace(job, begun=job.begun | begun)
    return None


def _launch_search(plan: SweepPlan, job: SweepJob) -> SearchEnd:
    """Lets Hydra search. Each set of values is run once; a launcher that breaks takes its own trials with it only.

    Raises:
        Exception: Hydra or its launcher failed before any job began.
    """
    silence_optuna()
    sweep = plan.sweep

    def is_stopped() -> bool:
        return sweep.stop_reason() is not None

    def after_break(error: Exception, numbers: range) -> list[float | None]:
        jobs = [read_job(sweep, plan.record, number) for number in numbers]
        if all(one.status == "not run" for one in jobs):
            raise error
        _log.info("the launcher ended with %s: %s", type(error).__name__, error, exc_info=True)
        return [objective_value(plan.objective, one.result) for one in jobs]

    once: list[RunOnce] = []

    def run_once(launcher: Launcher) -> Launcher:
        once.append(RunOnce(launcher, is_stopped, after_break))
        return once[-1]

    error = _end_of_launch(plan, job, run_once)
    trials = once[-1].trials if once else None
    return SearchEnd(plan.objective, plan.direction, plan.record.total, trials, error)


def _not_begun(error: Exception) -> Exception:
    """Returns the error of a sweep of which no job began: the launcher, or the sweeper, cannot be used so."""
    if isinstance(error, FedcliError | OSError):
        return error
    return ConfigError(
        f"no job could begin: {innermost_reason(error)}",
        "check hydra/launcher, hydra.launcher.* and hydra.sweeper.*; --debug shows the traceback",
    )


def _launch(plan: SweepPlan, job: SweepJob) -> frozenset[int] | None:
    """Lets Hydra run the jobs once.

    A worker process that is killed takes joblib's other workers with it, and the jobs that wait. They do not share
    its fate: the caller launches them anew.

    Returns:
        The jobs that began, if the launcher broke and others are left to run; None if the sweep is over.

    Raises:
        Exception: Hydra or its launcher failed before any job began.
    """
    sweep, numbers = plan.sweep, range(plan.record.total or 0)
    before = {number: _last_change(sweep, number) for number in numbers}
    if _end_of_launch(plan, job) is None:
        return None
    begun = frozenset(number for number in numbers if _last_change(sweep, number) != before[number])
    is_over = sweep.stop_reason() or set(numbers) == begun | job.begun | job.finished
    return begun if begun and not is_over else None


def _end_of_launch(plan: SweepPlan, job: SweepJob, *launcher: Callable[[Launcher], Launcher]) -> Exception | None:
    """Lets Hydra launch the jobs.

    Returns:
        What ended Hydra before its time, such as a worker process that was killed: the jobs' folders say what there is.

    Raises:
        Exception: Hydra or its launcher failed before any job began.
    """
    try:
        launch(plan.request, job, *launcher)
    except SearchStopped:
        pass
    except KeyboardInterrupt:
        write_table(plan.sweep, plan.record)
        raise
    except Exception as error:
        if all(one.status == "not run" for one in read_jobs(plan.sweep, plan.record)):
            raise _not_begun(error) from error
        what = "search" if plan.is_search else "launcher"
        _log.info("the %s ended with %s: %s", what, type(error).__name__, error, exc_info=True)
        return error
    return None


def _last_change(sweep: SweepDirectory, number: int) -> int | None:
    try:
        return sweep.job(number).run_json.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _asking_jobs_to_stop(sweep: SweepDirectory) -> AbstractContextManager[None]:
    """At the first signal asks jobs in other processes to stop after their round, at the second at once."""

    def ask(signal_name: str) -> None:
        sweep.ask_to_stop("interrupted")
        output.say("stopping after the rounds that run (once more to stop at once) ...")

    return stop_signals(ask, lambda: sweep.ask_to_stop("now"))


def _refuse_taken(plan: SweepPlan) -> None:
    """Refuses to mix a new sweep with what is in its folder."""
    sweep = plan.sweep
    refuse_used(sweep.path, "hydra.sweep.dir", plan.record.command)
    if sweep.path.is_dir() and (used := [n for n in sweep.numbers() if sweep.job(n).files_of_a_run()]):
        raise ConfigError(
            f"hydra.sweep.dir={shown_path(sweep.path)}: {shown_path(sweep.job(used[0]).path)} holds a run already",
            "choose another folder: hydra.sweep.dir=PATH",
        )
