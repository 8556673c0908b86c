"""`fedcli doctor`."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fedcli.cli import options
from fedcli.cli.console import can_show, output
from fedcli.cli.errors import shown_errors

if TYPE_CHECKING:
    from fedcli.doctor.check import Check, Status

_SIGNS: dict[Status, tuple[str, str, str]] = {
    # status: sign, sign where the terminal has no such character, colour
    "passed": ("✓", "ok", "\x1b[32m"),
    "warning": ("!", "!", "\x1b[33m"),
    "failed": ("✗", "x", "\x1b[31m"),
}


def command(
    origin: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where data is fetched from.", show_default="$FEDCLI_ORIGIN, else Google's bucket"
        ),
    ] = None,
    cache_dir: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Where data is kept.", show_default="$FEDCLI_CACHE, else ~/.cache/fedcli"),
    ] = None,
    output_dir: Annotated[str, typer.Option(metavar="FOLDER", help="Where runs are recorded.")] = "outputs",
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and failures only.")] = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Checks the installation: packages, folders, the data's origin, and one round on each runtime.

    Takes about half a minute. Exit code 0 if every check passed or only warned, 1 if one failed.
    """
    # A scheduler's SIGTERM and a terminal that closes end the rounds too, which are other processes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        from fedcli.doctor.diagnose import diagnose

        checks = []
        for check in diagnose(origin, cache_dir, output_dir, lambda what: output.say(f"{what} ...")):
            checks.append(check)
            if not output.json:
                _show(check)
        _summarise(checks)
    if _worst(checks) == "failed":
        raise typer.Exit(1)


def _end(signum: int, frame: object) -> None:
    sys.exit(128 + signum)


def _worst(checks: Sequence[Check]) -> Status:
    order: tuple[Status, ...] = ("failed", "warning", "passed")
    return next(status for status in order if status == "passed" or any(check.status == status for check in checks))


def _show(check: Check) -> None:
    """Prints a line, and what to do on a second one."""
    if check.status == "passed" and output.verbosity < 0:
        return
    sign, plain_sign, colour = _SIGNS[check.status]
    if not can_show(sign):
        sign = plain_sign
    end = "\x1b[0m"
    if not sys.stdout.isatty():
        colour = end = ""
    output.result(f"{colour}{sign}{end} {check.name + ':':<15}{check.message}\n")
    if check.advice:
        output.result(f"    try: {check.advice}\n")
    sys.stdout.flush()


def _summarise(checks: Sequence[Check]) -> None:
    if output.json:
        output.document({"status": _worst(checks), "checks": [dataclasses.asdict(check) for check in checks]})
        return
    failed = sum(check.status == "failed" for check in checks)
    warned = sum(check.status == "warning" for check in checks)
    output.say(
        f"{failed} of {len(checks)} checks failed"
        if failed
        else f"fedcli works{f'; {warned} warning' + ('s' if warned > 1 else '') if warned else ''}"
    )
