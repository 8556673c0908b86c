"""`fedcli generate`: writes text with a trained model. Imports no TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedcli.cli import options
from fedcli.cli.console import output
from fedcli.cli.errors import shown_errors
from fedcli.shell import shown_path

if TYPE_CHECKING:
    from fedcli.pretrained import Pretrained

#: The study's.
PROMPT = "What of TensorFlow Federated, you ask? "
#: Where runs are by default; see conf/train.yaml.
_OUTPUTS = "outputs"


def command(
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="A run's folder.", show_default="the newest run of a text model"),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--pretrained",
            metavar="NAME|PATH",
            help="dickens, a name of fedcli pretrain, or a file.",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help="What the text begins with.")] = PROMPT,
    length: Annotated[int, typer.Option("--length", metavar="N", help="Characters to write.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", metavar="X", help="Below 1 more sure, above 1 more varied, 0 always the likeliest."
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", metavar="K", help="Choose among the K likeliest characters.", show_default="all"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same seed gives the same text.")] = 0,
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="Texts to write.")] = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Writes text with a trained model, character by character, as it is sampled."""
    with shown_errors(json=json, quiet=quiet, verbose=verbose, debug=debug):
        try:
            _generate(run, pretrained, prompt, length, temperature, top_k, seed, samples)
        except KeyboardInterrupt:
            from fedcli.errors import Interrupted

            raise Interrupted("stopped before the end of the text", "--length N sets how long it is") from None


def _generate(
    run: str | None,
    pretrained: str | None,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    samples: int,
) -> None:
    from fedcli.models.generation import Sampling, TextGenerator, check_prompt

    # What was typed wrong is said before a model is fetched.
    sampling = Sampling(temperature, top_k)
    check_prompt(prompt)
    _refuse_low(length=(length, 1), samples=(samples, 1), seed=(seed, 0))
    model = _load(run, pretrained)
    generator = TextGenerator(model.model, model.weights)
    texts = (generator.generate(prompt, length, sampling, seed=seed, sample=sample) for sample in range(samples))
    if output.json:
        output.document(
            {
                "source": model.source,
                "path": str(model.path),
                "prompt": prompt,
                "seed": seed,
                "temperature": temperature,
                "top_k": top_k,
                "length": length,
                "samples": ["".join(text) for text in texts],
            }
        )
        return
    for sample, text in enumerate(texts):
        _stream(prompt, text, sample, samples)


def _stream(prompt: str, text: Iterator[str], sample: int, samples: int) -> None:
    """Writes a sample as its characters come; samples are a blank line apart."""
    if sample:
        output.result("\n")
        sys.stdout.flush()
    if samples > 1:
        output.say(f"--- sample {sample + 1} of {samples} ---")
    output.result(prompt)
    sys.stdout.flush()
    for character in text:
        output.result(character)
        sys.stdout.flush()
    output.result("\n")
    sys.stdout.flush()


def _refuse_low(**options: tuple[int, int]) -> None:
    from fedcli.errors import UsageError

    for name, (value, least) in options.items():
        if value < least:
            raise UsageError(f"--{name} {value}: must be at least {least}", f"set it with --{name} NUMBER")


def _load(run: str | None, pretrained: str | None) -> Pretrained:
    """Loads the model that was asked for, else that of the newest run of a text model.

    Raises:
        UsageError: Both were asked for, or neither and there is no such run.
        FedcliError: There is no such model, or it cannot be read.
    """
    from fedcli.errors import UsageError
    from fedcli.pretrained import load_pretrained

    if run is not None and pretrained is not None:
        raise UsageError("both --run and --pretrained are given", "give one of them")
    if pretrained is not None:
        return load_pretrained(pretrained)
    found = _newest_text_run() if run is None else _run_folder(run)
    if found is None:
        raise UsageError(
            f"no model is given, and {_OUTPUTS}/ holds no finished run of a text model",
            "give a run with --run RUN, or a model with --pretrained NAME|PATH, for example --pretrained dickens",
        )
    if run is None:
        output.say(f"model: {shown_path(found)}")
    # Absolute, so that a folder is never taken for a model's name.
    return load_pretrained(str(found.absolute()))


def _run_folder(run: str) -> Path:
    from fedcli.errors import RunDirectoryError, UsageError
    from fedcli.runs.directory import RunDirectory, find_runs

    path = Path(run).expanduser()
    if run and RunDirectory(path).is_run:
        return path
    try:
        below = [shown_path(found.path) for found in find_runs([path])] if run and path.is_dir() else []
    except RunDirectoryError:
        below = []
    raise UsageError(
        f"--run {run}: no run directory",
        f"runs below it: {', '.join(below[-3:])}" if below else "give a run's folder; a name or a file: --pretrained",
    )


def _newest_text_run() -> Path | None:
    from fedcli.errors import FedcliError
    from fedcli.runs.directory import find_runs
    from fedcli.runs.record import read_record

    if not Path(_OUTPUTS).is_dir():
        return None
    # Folders are named by time.
    for run in reversed(find_runs([_OUTPUTS])):
        try:
            finished = run.is_recorded and read_record(run.run_json).status == "completed"
        except FedcliError:
            continue
        if finished and run.model_keras.is_file() and _is_for_text(run.config_yaml):
            return run.path
    return None


def _is_for_text(config: Path) -> bool:
    from fedcli.keys.saved import read_saved
    from fedcli.models import models

    try:
        name = read_saved(config)["model"]["name"]
    except Exception:
        # Whatever is wrong with a file that nobody named, it is not the run that is meant.
        return False
    return name in models.components and models.components[name].kind == "text"
