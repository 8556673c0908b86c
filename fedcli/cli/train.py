"""`fedcli train`."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedcli.cli.completion import complete_override
from fedcli.cli.console import Output, output, shown_path
from fedcli.cli.errors import shown_errors
from fedcli.runs.directory import RunDirectory

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fedcli.config.schema import TrainConfig
    from fedcli.runs.record import RunRecord


def command(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the config.", autocompletion=complete_override),
    ] = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Run a job for each combination of values.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN|auto", help="Go on with a run, or with the newest like this.")
    ] = None,
    show: Annotated[
        str | None, typer.Option("--cfg", metavar="job|hydra|all", help="Print the config and do nothing.")
    ] = None,
    config_dir: Annotated[
        list[Path] | None, typer.Option("--config-dir", "-cd", help="A further folder with YAML files.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is logged.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Trains a model federatedly.

    Without arguments: 50 rounds of federated averaging on 1,797 handwritten digits of 13 writers, which ship
    with fedcli. Every run leaves a folder in outputs/ with its config, metrics, curves, checkpoints and model.
    """
    output.json, output.debug = json, debug
    output.verbosity = -1 if quiet else int(verbose)
    with shown_errors():
        from fedcli.cli.logs import log_to_stderr
        from fedcli.runtime.tensorflow_settings import set_up_tensorflow

        set_up_tensorflow()
        log_to_stderr()
        _run(list(overrides or []), multirun, resume, show, config_dir or [])


@dataclass(frozen=True)
class JobContext:
    """What a job must know beside its config; travels to other processes with it.

    Attributes:
        output: How the command talks.
        argv: The command line.
        overrides: The run's KEY=VALUE arguments, None for those of the sweep's job.
        run_id: Six hexadecimal digits.
    """

    output: Output
    argv: list[str]
    overrides: list[str] | None
    run_id: str


def _run(arguments: list[str], multirun: bool, resume: str | None, show: str | None, config_dirs: list[Path]) -> None:
    from fedcli.cli import hydra_bridge
    from fedcli.cli.hydra_bridge import HydraRequest
    from fedcli.cli.overrides import checked_overrides
    from fedcli.cli.resume import refuse_changes, saved_config
    from fedcli.config.checks import check
    from fedcli.config.schema import TrainConfig
    from fedcli.errors import UsageError

    if resume and multirun:
        raise UsageError("--resume does not go with --multirun yet", "resume one run at a time")
    if show not in (None, "job", "hydra", "all"):
        raise UsageError(f"--cfg {show}: no such view", "choose one of: job, hydra, all")
    run_id = RunDirectory.new_id()

    def request_for(arguments: list[str], run_id: str, folder: list[str]) -> HydraRequest:
        overrides = checked_overrides(arguments, TrainConfig, sweep=multirun, config_dirs=config_dirs)
        return HydraRequest("train", [*overrides, *folder], run_id, multirun, show, config_dirs)

    request = request_for(arguments, run_id, [])
    if show:
        hydra_bridge.run(request, lambda config: None)
        return
    if not multirun:
        resumed = _resumed(resume, request)
        if resumed is not None:
            run, record = resumed
            arguments = [*record.overrides, *arguments]
            request = request_for(arguments, record.id, [_run_dir(run)])
        # Checked before Hydra makes a folder for it.
        config = hydra_bridge.compose(request, TrainConfig)
        check(config)
        if resumed is not None:
            refuse_changes(run, saved_config(run), config)
    context = JobContext(output, sys.argv, None if multirun else arguments, request.run_id)

    def job(config: DictConfig) -> Any:
        return execute(config, context)

    hydra_bridge.run(request, job)


def _resumed(resume: str | None, request: Any) -> tuple[RunDirectory, RunRecord] | None:
    from fedcli.cli import hydra_bridge
    from fedcli.cli.resume import latest_resumable, run_to_resume
    from fedcli.config.schema import TrainConfig

    if resume is None:
        return None
    if resume != "auto":
        return run_to_resume(resume, "train")
    found = latest_resumable(hydra_bridge.compose(request, TrainConfig), "train")
    output.say(f"resuming {found[0]}" if found else "no unfinished run of this config; starting a new one")
    return found


def _run_dir(run: RunDirectory) -> str:
    escaped = str(run.path).replace("\\", "\\\\").replace("'", "\\'")
    return f"hydra.run.dir='{escaped}'"


def execute(config: DictConfig, context: JobContext) -> float | None:
    """Runs one job in the folder that Hydra made for it.

    Args:
        config: The composed config.
        context: What else the job must know.

    Returns:
        The final accuracy on the test split, for sweepers that optimise it.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from fedcli.cli.hydra_bridge import job_folder, to_typed
    from fedcli.cli.logs import logging_to
    from fedcli.cli.progress import RunProgress
    from fedcli.config.checks import check
    from fedcli.config.schema import TrainConfig
    from fedcli.runs.atomic import write_text
    from fedcli.runs.record import write_record
    from fedcli.runs.recorded import recorded
    from fedcli.training.train import train

    typed_config = to_typed(config, TrainConfig, sweep=context.overrides is None)
    check(typed_config)
    run = RunDirectory(job_folder())
    overrides = context.overrides
    if overrides is None:
        overrides = list(HydraConfig.get().overrides.task)
    with (
        logging_to(run.run_log),
        recorded(
            run,
            id=context.run_id if context.overrides is not None else RunDirectory.new_id(),
            command="train",
            argv=context.argv,
            overrides=overrides,
            seed=typed_config.seed,
        ) as record,
    ):
        write_text(run.config_yaml, OmegaConf.to_yaml(dataclasses.asdict(typed_config)))

        def on_resume(round: int) -> None:
            record.resume(round)
            write_record(run.run_json, record)

        with RunProgress() as progress:
            result = train(typed_config, run, progress, on_resume)
    _report(typed_config, run, result)
    return result["final"].get("eval/accuracy")


def _report(config: TrainConfig, run: RunDirectory, result: dict[str, Any]) -> None:
    from fedcli.cli.progress import duration, mebibits

    if output.json:
        output.document({"run": str(run), "status": "completed", **result})
        return
    final, best = result["final"], result["best"].get("eval/accuracy")
    output.say(
        f"done: {result['rounds']} rounds in {duration(result['seconds'])}, held-out accuracy "
        f"{final['eval/accuracy']:.4f}"
        + (f" (best {best['value']:.4f} after round {best['round']})" if best else "")
        + f", {mebibits(result['broadcasted_bits'])} down, {mebibits(result['aggregated_bits'])} up"
    )
    output.say(f"run:    {shown_path(run.path)}\ncurves: tensorboard --logdir {shown_path(run.events)}")
