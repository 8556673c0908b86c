"""What commands that run experiments share: from their arguments to Hydra's jobs, and what one job does."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedcli.cli.console import Output, output, shown_path
from fedcli.runs.directory import RunDirectory

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fedcli.cli.hydra_bridge import HydraRequest
    from fedcli.runs.record import RunRecord


@dataclass(frozen=True)
class Arguments:
    """What was typed.

    Attributes:
        command: `train`, ...: also the name of the YAML file at the top of its config.
        overrides: KEY=VALUE arguments.
        multirun: Whether to sweep.
        resume: The run to go on with, or `auto`.
        show: Which config to print instead of running.
        config_dirs: Further folders with YAML files.
    """

    command: str
    overrides: Sequence[str]
    multirun: bool = False
    resume: str | None = None
    show: str | None = None
    config_dirs: Sequence[Path] = ()


@dataclass(frozen=True)
class JobContext:
    """What a job must know beside its config; travels to other processes with it.

    Attributes:
        command: `train`, ...
        output: How the command talks.
        argv: The command line.
        overrides: The run's KEY=VALUE arguments, None for those of the sweep's job.
        run_id: Six hexadecimal digits.
    """

    command: str
    output: Output
    argv: list[str]
    overrides: list[str] | None
    run_id: str


def run_experiment(arguments: Arguments) -> None:
    """Runs a command's experiment, or a sweep of them.

    Raises:
        FedcliError: The arguments or the config are wrong, or the run failed.
    """
    from fedcli.cli import hydra_bridge
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.resume import refuse_changes, saved_config
    from fedcli.errors import UsageError
    from fedcli.runtime.tensorflow_settings import set_up_tensorflow

    if arguments.resume and arguments.multirun:
        raise UsageError("--resume does not go with --multirun yet", "resume one run at a time")
    if arguments.show not in (None, "job", "hydra", "all"):
        raise UsageError(f"--cfg {arguments.show}: no such view", "choose one of: job, hydra, all")
    set_up_tensorflow()
    kind = kind_of(arguments.command)
    request = _request(arguments, RunDirectory.new_id())
    if arguments.show:
        hydra_bridge.run(request, lambda config: None)
        return
    if not arguments.multirun:
        resumed = _resumed(arguments, request)
        if resumed is not None:
            run, record = resumed
            arguments = dataclasses.replace(arguments, overrides=[*record.overrides, *arguments.overrides])
            request = _request(arguments, record.id, run)
        # Checked before Hydra makes a folder for it.
        config = kind.check(hydra_bridge.compose(request, kind.schema))
        if resumed is None:
            kind.check_new(config)
        else:
            refuse_changes(run, saved_config(run, kind.schema), config)
    overrides = None if arguments.multirun else list(arguments.overrides)
    context = JobContext(arguments.command, output, sys.argv, overrides, request.run_id)

    def job(config: DictConfig) -> Any:
        return execute(config, context)

    hydra_bridge.run(request, job)


def _request(arguments: Arguments, run_id: str, folder: RunDirectory | None = None) -> HydraRequest:
    from fedcli.cli.hydra_bridge import HydraRequest
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.overrides import checked_overrides

    overrides = checked_overrides(
        arguments.overrides,
        kind_of(arguments.command).schema,
        sweep=arguments.multirun,
        config_dirs=arguments.config_dirs,
    )
    if folder is not None:
        escaped = str(folder.path).replace("\\", "\\\\").replace("'", "\\'")
        overrides.append(f"hydra.run.dir='{escaped}'")
    return HydraRequest(arguments.command, overrides, run_id, arguments.multirun, arguments.show, arguments.config_dirs)


def _resumed(arguments: Arguments, request: HydraRequest) -> tuple[RunDirectory, RunRecord] | None:
    from fedcli.cli import hydra_bridge
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.resume import latest_resumable, run_to_resume

    if arguments.resume is None:
        return None
    if arguments.resume != "auto":
        return run_to_resume(arguments.resume, arguments.command)
    kind = kind_of(arguments.command)
    found = latest_resumable(kind.check(hydra_bridge.compose(request, kind.schema)), arguments.command)
    output.say(
        f"resuming {shown_path(found[0].path)}" if found else "no unfinished run of this config; starting a new one"
    )
    return found


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
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.logs import logging_to
    from fedcli.runs.atomic import write_text
    from fedcli.runs.record import write_record
    from fedcli.runs.recorded import recorded

    kind = kind_of(context.command)
    typed_config = kind.check(to_typed(config, kind.schema, sweep=context.overrides is None))
    run = RunDirectory(job_folder())
    if not run.is_recorded:
        kind.check_new(typed_config)
    overrides = context.overrides
    if overrides is None:
        overrides = list(HydraConfig.get().overrides.task)
    with (
        logging_to(run.run_log),
        recorded(
            run,
            id=context.run_id if context.overrides is not None else RunDirectory.new_id(),
            command=context.command,
            argv=context.argv,
            overrides=overrides,
            seed=typed_config.seed,
        ) as record,
    ):
        write_text(run.config_yaml, OmegaConf.to_yaml(dataclasses.asdict(typed_config)))

        def on_resume(round: int) -> None:
            record.resume(round)
            write_record(run.run_json, record)

        with kind.progress() as progress:
            result = kind.run(typed_config, run, progress, on_resume)
    _report(run, result, kind.length)
    return result["final"].get("eval/accuracy")


def _report(run: RunDirectory, result: dict[str, Any], unit: str) -> None:
    """Tells how a run ended.

    Args:
        run: The run.
        result: What result.json says.
        unit: What a run is counted in, `rounds` or `epochs`.
    """
    from fedcli.cli.progress import duration, mebibits

    if output.json:
        output.document({"run": str(run), "status": "completed", **result})
        return
    final, best = result["final"], result["best"].get("eval/accuracy")
    line = f"done: {result['rounds']} {unit} in {duration(result['seconds'])}"
    line += f", held-out accuracy {final['eval/accuracy']:.4f}"
    if best:
        line += f" (best {best['value']:.4f} after {unit.removesuffix('s')} {best['round']})"
    if result["broadcasted_bits"] is not None:
        line += f", {mebibits(result['broadcasted_bits'])} down, {mebibits(result['aggregated_bits'])} up"
    output.say(line)
    if made := result.get("pretrained"):
        output.say(
            f"model:  {made['name']}, of epoch {made['epoch']}: held-out loss {made['eval/loss']:.4f}, "
            f"accuracy {made['eval/accuracy']:.4f}\n"
            f"try:    fedcli generate --pretrained {made['name']}"
        )
    output.say(f"run:    {shown_path(run.path)}\ncurves: tensorboard --logdir {shown_path(run.events)}")
