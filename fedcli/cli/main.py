"""The `fedcli` command: every command is registered here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fedcli import __version__
from fedcli.cli import compare, data, doctor, finetune, generate, pretrain, train
from fedcli.cli.completion_scripts import use_own_scripts
from fedcli.cli.console import output
from fedcli.cli.help import ConfigCommand
from fedcli.cli.process import HINT, MESSAGE
from fedcli.cli.streams import ReaderGone, take_over_standard_streams
from fedcli.errors import FedcliError, Interrupted, UsageError

use_own_scripts()

app = typer.Typer(
    name="fedcli",
    help="Federated learning experiments on TensorFlow Federated: correct, resumable, comparable.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

#: Options that Typer does not know end up among the KEY=VALUE arguments, where they get a helpful answer.
_WITH_OVERRIDES = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}

app.command("train", cls=ConfigCommand, context_settings=_WITH_OVERRIDES)(train.command)
app.command("finetune", cls=ConfigCommand, context_settings=_WITH_OVERRIDES)(finetune.command)
app.command("pretrain", cls=ConfigCommand, context_settings=_WITH_OVERRIDES)(pretrain.command)
app.command("generate")(generate.command)
app.command("compare")(compare.command)
app.add_typer(data.app, name="data")
app.command("doctor")(doctor.command)


def _version(asked: bool) -> None:
    if asked:
        output.result(f"fedcli {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line."""
    take_over_standard_streams()
    output.json = "--json" in sys.argv
    try:
        # Named, so that `python -m fedcli` shows the same help.
        code = app(prog_name="fedcli", standalone_mode=False)
        sys.stdout.flush()
    except FedcliError as error:  # the help, the version or a completion cannot be written
        output.error(error)
        code = error.exit_code
    except ReaderGone:
        code = 0
    except Exception as error:
        code = _command_line_error(error)
    sys.exit(code)


def _command_line_error(error: Exception) -> int:
    """Shows an error of Typer's about the command line; its class is its own affair, what it can do is not.

    Returns:
        The exit code.
    """
    if type(error).__name__ == "Abort":  # Typer's form of KeyboardInterrupt
        output.error(Interrupted(MESSAGE, HINT))
        return Interrupted.exit_code
    if not hasattr(error, "format_message"):
        raise error
    if type(error).__name__ != "NoArgsIsHelpError":  # the help is shown
        output.error(UsageError(error.format_message(), "--help lists the commands and their options"))
    return getattr(error, "exit_code", UsageError.exit_code)
