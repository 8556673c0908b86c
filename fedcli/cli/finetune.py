"""`fedcli finetune`."""

from typing import Annotated

import typer

from fedcli.cli import options
from fedcli.cli.arguments import Arguments
from fedcli.cli.errors import shown_errors
from fedcli.cli.experiment import run_experiment
from fedcli.cli.quoting import quoted
from fedcli.errors import UsageError


def command(
    overrides: options.Overrides = None,
    pretrained: Annotated[
        str | None, typer.Option(metavar="NAME|FILE|RUN", help="The model to go on from, for example dickens.")
    ] = None,
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
    """Trains a pretrained model on, federatedly.

    The layers are the pretrained file's. By default 30 rounds of federated averaging on Shakespeare's roles, evaluated
    on held-out text of all of them; everything else is as in fedcli train.
    """
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        arguments = list(overrides or [])
        for argument in arguments:
            if argument.lstrip("+").startswith(("model=", "model.")):
                raise UsageError(f"{argument}: the model is the pretrained one", "leave it out; see --pretrained")
        if pretrained is not None:
            arguments.append(f"pretrained={quoted(pretrained)}")
        run_experiment(Arguments("finetune", arguments, multirun, resume, show, config_dir or [], fail_fast))
