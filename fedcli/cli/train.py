"""`fedcli train`."""

from fedcli.cli import options
from fedcli.cli.arguments import Arguments
from fedcli.cli.errors import shown_errors
from fedcli.cli.experiment import run_experiment


def command(
    overrides: options.Overrides = None,
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
    """Trains a model federatedly.

    Without arguments: 50 rounds of federated averaging on 1,797 handwritten digits of 13 writers, which ship
    with fedcli. Every run leaves a folder in outputs/ with its config, metrics, curves, checkpoints and model.
    """
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        run_experiment(Arguments("train", overrides or [], multirun, resume, show, config_dir or [], fail_fast))
