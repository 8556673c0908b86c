"""A sweep: from its arguments to its jobs, wherever they run, and to the report of what became of them."""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from fedcli.cli.console import output
from fedcli.cli.hydra_bridge import launch
from fedcli.cli.streams import not_waiting_for_readers
from fedcli.cli.sweep_job import SweepJob
from fedcli.cli.sweep_plan import SweepPlan, plan_sweep
from fedcli.cli.sweep_progress import SweepProgress
from fedcli.cli.sweep_report import report_sweep
from fedcli.cli.sweep_resume import finished_jobs, resumed_plan
from fedcli.cli.used_folder import refuse_used
from fedcli.errors import ConfigError
from fedcli.runs.atomic import remove_leftovers, storage_errors
from fedcli.runs.lock import RunLock
from fedcli.runs.sweep import SweepDirectory, write_sweep
from fedcli.runs.sweep_jobs import read_jobs, write_table
from fedcli.runtime.cluster.connection import lock_local_ray
from fedcli.shell import shown_path
from fedcli.training.interrupts import stop_signals

if TYPE_CHECKING:
    from fedcli.cli.experiment import Arguments

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
    else:
        finished = finished_jobs(plan)
    sweep, record = plan.sweep, plan.record
    with storage_errors(sweep.path):
        sweep.path.mkdir(parents=True, exist_ok=True)
    with RunLock(sweep.lock):
        if record.total is not None and len(finished) == record.total:
            output.say("every job of the sweep is completed; nothing to do")
        else:
            remove_leftovers(sweep.path)
            write_sweep(sweep.sweep_json, record)
            if record.jobs is not None:  # a search is not resumed
                output.go_on = f"fedcli {record.command} -m --resume {shown_path(sweep.path)}"
            sweep.forget_stop()
            try:
                _run_jobs(plan, finished, fail_fast=arguments.fail_fast)
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
    )


def _run_jobs(plan: SweepPlan, finished: frozenset[int], *, fail_fast: bool) -> None:
    """Lets Hydra run the jobs. What becomes of them stands in their folders.

    Raises:
        Exception: Hydra or its launcher failed before any job began.
    """
    sweep, spread = plan.sweep, plan.spread
    job = SweepJob(sweep.path.absolute(), plan.record, finished, spread.side_by_side, spread.cores, fail_fast, output)
    if plan.is_search:
        _silence_optuna()
    if spread.starts_ray:
        lock_local_ray()
    with ExitStack() as stack:
        stack.enter_context(not_waiting_for_readers())
        if spread.side_by_side:
            stack.enter_context(_asking_jobs_to_stop(sweep))
            stack.enter_context(SweepProgress(sweep, plan.record))
        while (begun := _launch(plan, job)) is not None:
            job = dataclasses.replace(job, begun=job.begun | begun)


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
    try:
        launch(plan.request, job)
    except KeyboardInterrupt:
        write_table(sweep, plan.record)
        raise
    except Exception as error:
        # A worker process that was killed, a search without a single result: the jobs' folders say what there is.
        if all(one.status == "not run" for one in read_jobs(sweep, plan.record)):
            raise
        _log.info("the launcher ended with %s: %s", type(error).__name__, error, exc_info=True)
        begun = frozenset(number for number in numbers if _last_change(sweep, number) != before[number])
        is_over = sweep.stop_reason() or set(numbers) == begun | job.begun | job.finished
        return begun if begun and not is_over else None
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


def _silence_optuna() -> None:
    """Keeps Optuna's own lines from the terminal: fedcli tells of each job."""
    try:
        import optuna
    except ImportError:  # another sweeper that searches
        return
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
