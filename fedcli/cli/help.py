"""`--help` of commands that have a config: their options, and the config groups with their choices."""

from __future__ import annotations

import os
import re
from typing import Any

from typer.core import TyperCommand

from fedcli.keys.location import choices, config_folder

_EXAMPLE = "rounds=20 dataset.batch_size=10 client_optimizer.learning_rate=0.05"
_EXAMPLES = {"pretrain": "epochs=5 model.units=512 learning_rate=0.0005"}


def _groups(command: str) -> list[str]:
    """Lists the config groups of a command, in its YAML file's defaults (read as text: YAML takes long to import)."""
    text = (config_folder() / f"{command}.yaml").read_text()
    return re.findall(r"^  - (?:optional )?(\w+):", text, re.MULTILINE)


class ConfigCommand(TyperCommand):
    """A command whose KEY=VALUE arguments are keys of a config."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line, in which --resume may stand without a value."""
        return super().parse_args(ctx, _with_resume_value(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the usual help, then the config groups."""
        super().format_help(ctx, formatter)
        from rich.console import Console
        from rich.table import Table

        table = Table(title="Config groups (GROUP=CHOICE)", title_justify="left", title_style="bold", box=None)
        table.add_column("group", style="cyan", no_wrap=True)
        table.add_column("choices")
        groups = _groups(ctx.info_name)
        for group, names in choices().items():
            if group in groups:
                table.add_row(group, ", ".join(names))
        console = Console()
        console.print(table)
        console.print(
            f"\nOther keys are set by their path: [cyan]{_EXAMPLES.get(ctx.info_name, _EXAMPLE)}[/]\n"
            f"[cyan]fedcli {ctx.info_name} --cfg job[/] shows them all; with [cyan]-m[/], "
            "[cyan]seed=1,2,3[/] runs one job for each value.\n",
            highlight=False,
        )


def _with_resume_value(args: list[str]) -> list[str]:
    """Writes `--resume` as `--resume=auto` where no run follows: the end, an option or a KEY=VALUE."""
    result = []
    for position, arg in enumerate(args):
        following = args[position + 1] if position + 1 < len(args) else "-"
        is_value = not following.startswith("-") and ("=" not in following or os.path.isdir(following))
        result.append("--resume=auto" if arg == "--resume" and not is_value else arg)
    return result
