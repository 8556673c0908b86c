"""`fedcli pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedcli.cli import options
from fedcli.cli.arguments import Arguments
from fedcli.cli.errors import shown_errors
from fedcli.cli.experiment import run_experiment
from fedcli.cli.quoting import quoted


def command(
    overrides: options.Overrides = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="FILE", help="The text to train on, in UTF-8.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The model's name for --pretrained.", show_default=False),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model that has the name already.")
    ] = False,
    multirun: options.Multirun = False,
    fail_fast: options.FailFast = False,
    resume: options.Resume = None,
    show: options.Show = None,
    config_dir: options.ConfigDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Trains a character model on a text, all in one place, for `--pretrained NAME`.

    A tenth of the text is held out; training stops when the loss there no longer falls, and the best model is
    kept, in the run's folder and under its name in the cache.
    """
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        given = list(overrides or [])
        if text is not None:
            # Absolute, so that the run can be resumed from another folder.
            given.append(f"text={quoted(str(Path(text).expanduser().absolute()) if text else '')}")
        if name is not None:
            given.append(f"name={quoted(name)}")
        if overwrite:
            given.append("overwrite=true")
        run_experiment(Arguments("pretrain", given, multirun, resume, show, config_dir or [], fail_fast))
