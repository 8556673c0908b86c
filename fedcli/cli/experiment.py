"""Runs the experiment of a command: one run, new or resumed, or a sweep."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedcli.cli.arguments import Arguments, request_of
from fedcli.cli.console import output
from fedcli.cli.quoting import quoted
from fedcli.cli.recorded_run import RunContext, run_recorded
from fedcli.errors import OutputError
from fedcli.runs.directory import RunDirectory
from fedcli.shell import command_line, shown_path

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fedcli.cli.hydra_bridge import HydraRequest
    from fedcli.runs.record import RunRecord


def run_experiment(arguments: Arguments) -> None:
    """Runs a command's experiment, or a sweep of them.

    Raises:
        FedcliError: The arguments or the config are wrong, or the run failed.
    """
    from fedcli.cli import hydra_bridge
    from fedcli.errors import UsageError
    from fedcli.runtime.tensorflow_settings import set_up_tensorflow

    if arguments.fail_fast and not arguments.multirun:
        raise UsageError("--fail-fast: there is one run only", "add -m to run a job for each combination of values")
    if arguments.show not in (None, "job", "hydra", "all"):
        raise UsageError(f"--cfg {arguments.show}: no such view", "choose one of: job, hydra, all")
    set_up_tensorflow()
    if arguments.show:
        hydra_bridge.show(request_of(arguments, RunDirectory.new_id()), arguments.show)
    elif arguments.multirun:
        from fedcli.cli.sweep import run_sweep

        run_sweep(arguments)
    else:
        _run_once(arguments)


def _run_once(arguments: Arguments) -> None:
    from fedcli.cli import hydra_bridge
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.resume import continued, has_nothing_to_do, refuse_changes, refuse_longer_job
    from fedcli.cli.used_folder import refuse_used
    from fedcli.runs.result import read_result
    from fedcli.runs.sweep_jobs import update_table_of

    kind = kind_of(arguments.command)
    request = request_of(arguments, RunDirectory.new_id())
    resumed = _resumed(arguments, request)
    if resumed is not None:
        run, record = resumed
        before = _config_before(arguments, run, record)
        arguments = dataclasses.replace(arguments, overrides=continued(run, record, arguments.overrides))
        request = request_of(arguments, record.id, [f"hydra.run.dir={quoted(str(run.path))}"])

    def check(composed: DictConfig, folder: Path) -> tuple[Any, DictConfig]:
        config = kind.check(hydra_bridge.to_typed(composed, kind.schema))
        if resumed is None:
            kind.check_new(config)
            refuse_used(folder, "hydra.run.dir", arguments.command)
        else:
            refuse_changes(run, before, config)
            refuse_longer_job(run, before, config, arguments.command)
        return config, composed

    def job(checked: tuple[Any, DictConfig]) -> None:
        config, composed = checked
        if resumed is not None and has_nothing_to_do(run, record, before, config):
            output.say(f"{shown_path(run.path)} is completed; nothing to do")
            _report(run, read_result(run.result_json), kind.length)
            return
        context = RunContext(
            arguments.command, sys.argv, list(arguments.overrides), request.run_id, composed, is_new=resumed is None
        )
        folder = RunDirectory(hydra_bridge.job_folder())
        try:
            result = run_recorded(kind, config, folder, context, kind.progress(""))
        finally:
            if resumed is not None:
                update_table_of(folder)
        _report(folder, result, kind.length)

    hydra_bridge.run(request, check, job)


def _config_before(arguments: Arguments, run: RunDirectory, record: RunRecord) -> Any:
    """Returns the config that a run was made with: its config.yaml, or what run.json says if it was killed before."""
    from fedcli.cli import hydra_bridge
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.resume import continued, saved_config

    kind = kind_of(arguments.command)
    if run.config_yaml.is_file():
        return saved_config(run, kind.schema)
    request = request_of(dataclasses.replace(arguments, overrides=continued(run, record, [])), record.id)
    return kind.check(hydra_bridge.compose(request, kind.schema))


def _resumed(arguments: Arguments, request: HydraRequest) -> tuple[RunDirectory, RunRecord] | None:
    from fedcli.cli import hydra_bridge
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.resume import latest_resumable, run_to_resume

    if arguments.resume is None:
        return None
    if arguments.resume != "auto":
        return run_to_resume(arguments.resume, arguments.command)
    kind = kind_of(arguments.command)
    # A folder that is named is where a scheduler's script finds its run again, wherever output_dir is.
    named = [word.partition("=")[2].strip("'\"") for word in arguments.overrides if word.startswith("hydra.run.dir=")]
    config = kind.check(hydra_bridge.compose(request, kind.schema))
    found = latest_resumable(config, arguments.command, named[-1:])
    output.say(
        f"resuming {shown_path(found[0].path)}" if found else "no unfinished run of this config; starting a new one"
    )
    return found


def _report(run: RunDirectory, result: dict[str, Any], unit: str) -> None:
    """Tells how a run ended.

    Args:
        run: The run.
        result: What result.json says.
        unit: What a run is counted in, `rounds` or `epochs`.

    Raises:
        OutputError: stdout cannot be written.
    """
    from fedcli.cli.progress import duration, mebibits

    if output.json:
        try:
            output.document({"run": str(run), "status": "completed", **result})
        except OutputError as error:
            raise OutputError(
                error.message, f"the run is completed, its result is in {shown_path(run.result_json)}"
            ) from error
        return
    final, best = result["final"], result["best"].get("eval/accuracy")
    line = f"done: {result['rounds']} {unit} in {duration(result['seconds'])}"
    line += f", held-out accuracy {final['eval/accuracy']:.4f}"
    if best:
        line += f" (best {best['value']:.4f} after {unit.removesuffix('s')} {best['round']})"
    if result["broadcasted_bits"] is not None:
        line += f", {mebibits(result['broadcasted_bits'])} down, {mebibits(result['aggregated_bits'])} up"
    output.say(line)
    if privacy := result.get("privacy"):
        output.say(_privacy_line(privacy))
        if privacy.get("ended"):
            output.say(f"ended {privacy['ended']}")
    if made := result.get("pretrained"):
        output.say(
            f"model:  {made['name']}, of epoch {made['epoch']}: held-out loss {made['eval/loss']:.4f}, "
            f"accuracy {made['eval/accuracy']:.4f}\n"
            f"try:    {command_line('fedcli', 'generate', '--pretrained', made['name'])}"
        )
    output.say(f"run:    {shown_path(run.path)}\ncurves: tensorboard --logdir {shown_path(run.events)}")


def _privacy_line(privacy: Mapping[str, Any]) -> str:
    if privacy["epsilon"] is None:
        return f"privacy: no epsilon is stated: {privacy['not_covered']}"
    return (
        f"privacy: epsilon {privacy['epsilon']:.4g} at delta {privacy['delta']:.3g} for the model, "
        f"neighbours: {privacy['neighbours']} of {privacy['clients']} clients"
        + (f"; it began with {first}" if (first := privacy.get("first_model")) else "")
    )
