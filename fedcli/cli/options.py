"""Options that every command with a config has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedcli.cli.completion import complete_override

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the config.", autocompletion=complete_override),
]
Multirun = Annotated[bool, typer.Option("--multirun", "-m", help="Run a job for each combination of values.")]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="With -m: begin no job after the first that fails, instead of going on.")
]
#: Alone it means `auto`; see `ConfigCommand.parse_args`.
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume", metavar="[RUN|SWEEP]", help="Go on with a run (with -m: a sweep), or with the newest like this."
    ),
]
Show = Annotated[str | None, typer.Option("--cfg", metavar="job|hydra|all", help="Print the config and do nothing.")]
ConfigDir = Annotated[list[Path] | None, typer.Option("--config-dir", "-cd", help="A further folder with YAML files.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what is logged.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
