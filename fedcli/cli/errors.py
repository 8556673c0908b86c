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
from fedcli.errors import FedcliError, Interrupted


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
    log_to_stderr()
    try:
        yield
    except FedcliError as error:
        _end(error, error)
    except KeyboardInterrupt:
        output.error(Interrupted("stopped at once", "go on from the last checkpoint with --resume RUN"))
        sys.stdout.flush()
        sys.stderr.flush()
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
                "the traceback is in the run's run.log; --debug shows it here",
            ),
            error,
        )


def _end(shown: FedcliError, cause: BaseException) -> None:
    if output.debug:
        traceback.print_exception(cause, file=sys.stderr)
    output.error(shown)
    raise typer.Exit(shown.exit_code)
