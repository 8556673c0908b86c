"""The arguments of commands that run experiments, and the form that Hydra takes them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedcli.cli.hydra_bridge import HydraRequest


@dataclass(frozen=True)
class Arguments:
    """The arguments of a command, as the user typed them.

    Attributes:
        command: `train`, ...: also the name of the YAML file at the top of its config.
        overrides: KEY=VALUE arguments.
        multirun: Whether to sweep.
        resume: The run to go on with, or `auto`.
        show: Which config to print instead of running.
        config_dirs: Further folders with YAML files.
        fail_fast: Whether a sweep begins no job after the first that fails.
    """

    command: str
    overrides: Sequence[str]
    multirun: bool = False
    resume: str | None = None
    show: str | None = None
    config_dirs: Sequence[Path] = ()
    fail_fast: bool = False


def request_of(arguments: Arguments, run_id: str, extra: Sequence[str] = ()) -> HydraRequest:
    """Checks arguments and puts them in the form that Hydra takes.

    Args:
        arguments: The arguments of the command.
        run_id: Six hexadecimal digits.
        extra: Overrides of Hydra's own config.

    Raises:
        UsageError: An argument is wrong.
    """
    from fedcli.cli.hydra_bridge import HydraRequest
    from fedcli.cli.kinds import kind_of
    from fedcli.cli.overrides import checked_overrides

    overrides = checked_overrides(
        arguments.overrides,
        kind_of(arguments.command).schema,
        sweep=arguments.multirun,
        config_dirs=arguments.config_dirs,
    )
    return HydraRequest(arguments.command, [*overrides, *extra], run_id, arguments.config_dirs)
