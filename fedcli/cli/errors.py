"""Turns every exception into an exit code and two lines for people."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from fedcli.cli.console import output
from fedcli.cli.logs import log_to_stderr
from fedcli.cli.process import interrupts_raised
from fedcli.cli.streams import ReaderGone
from fedcli.errors import FedcliError, Interrupted
from fedcli.shell import shown_path


@contextmanager
def shown_errors(*, json: bool, quiet: bool, verbose: bool, debug: bool) -> Iterator[None]:
    """Sets how the command talks, shows what the block raises, and ends the command with the error's exit code.

    Args:
        json: Print one JSON document on stdout.
        quiet: Show errors only.
        verbose: Show what is logged.
        debug: Show the traceback of an error.
    """
    output.json, output.debug = json, debug
    output.verbosity = -1 if quiet else int(verbose)
    output.run_log, output.go_on = None, ""
    log_to_stderr()
    try:
        with interrupts_raised():
            yield
            sys.stdout.flush()
    except FedcliError as error:
        _end(error, error)
    except ReaderGone:
        raise typer.Exit from None
    except KeyboardInterrupt:
        go_on = f"go on from the last checkpoint with: {output.go_on}" if output.go_on else "start the command again"
        output.error(Interrupted("stopped at once", go_on))
        # Threads that train clients are not waited for: the user asked twice.
        os._exit(Interrupted.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _end(
            FedcliError(
                f"{place}{error.strerror or error}",
                "check the disk and your rights, or choose another place with output_dir=PATH",
            ),
            error,
        )
    except Exception as error:
        text = " ".join(str(error).split())
        _end(
            FedcliError(
                f"{type(error).__name__}: {text[:300]}",
                _where_the_traceback_is(),
            ),
            error,
        )


def _where_the_traceback_is() -> str:
    if output.run_log is None:
        return "add --debug to see the traceback"
    return f"the traceback is in {shown_path(output.run_log)}; --debug shows it here"


def _end(shown: FedcliError, cause: BaseException) -> None:
    if output.debug:
        traceback.print_exception(cause, file=sys.stderr)
    output.error(shown)
    raise typer.Exit(shown.exit_code)
