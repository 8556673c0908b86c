"""Runs one experiment in its folder and keeps its record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fedcli.cli.console import output
from fedcli.runs.directory import RunDirectory
from fedcli.shell import shown_path

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fedcli.cli.kinds import Kind


@dataclass(frozen=True)
class RunContext:
    """Facts for a run's record that its config does not hold.

    Attributes:
        command: `train`, ...
        argv: The command line.
        overrides: The run's KEY=VALUE arguments.
        run_id: Six hexadecimal digits.
        composed: The config as Hydra composed it, for Hydra's own record.
        is_new: Whether the folder must hold no run yet; None where both will do.
    """

    command: str
    argv: list[str]
    overrides: list[str]
    run_id: str
    composed: DictConfig
    is_new: bool | None = None


def run_recorded(kind: Kind, config: Any, run: RunDirectory, context: RunContext, progress: Any) -> dict[str, Any]:
    """Runs an experiment in its folder and keeps its record.

    Args:
        kind: The kind of experiment.
        config: Its checked config.
        run: Its folder, which exists.
        context: Facts for the record that the config does not hold.
        progress: Shows the run; a context manager.

    Returns:
        The content of result.json.
    """
    from omegaconf import OmegaConf

    from fedcli.cli.hydra_bridge import write_record
    from fedcli.cli.logs import logging_to
    from fedcli.cli.streams import not_waiting_for_readers
    from fedcli.runs.atomic import write_text
    from fedcli.runs.recorded import recorded

    with logging_to(run.run_log) as open_log:

        def begin() -> None:
            write_text(run.config_yaml, OmegaConf.to_yaml(dataclasses.asdict(config)))
            write_record(run.hydra, context.composed)
            open_log()

        with (
            recorded(
                run,
                id=context.run_id,
                command=context.command,
                argv=context.argv,
                overrides=context.overrides,
                seed=config.seed,
                is_new=context.is_new,
                on_begin=begin,
            ) as journal,
            not_waiting_for_readers(),
            progress,
        ):
            # A sweep, of which this is a job, has said how to go on with all of it.
            output.go_on = output.go_on or f"fedcli {context.command} --resume {shown_path(run.path)}"
            return kind.run(config, run, progress, journal)
