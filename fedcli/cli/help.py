"""`--help` of commands that have a config: their options, and the config groups with their choices."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from fedcli.config.location import choices


class ConfigCommand(TyperCommand):
    """A command whose KEY=VALUE arguments are keys of a config."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the usual help, then the config groups."""
        super().format_help(ctx, formatter)
        from rich.console import Console
        from rich.table import Table

        table = Table(title="Config groups (GROUP=CHOICE)", title_justify="left", title_style="bold", box=None)
        table.add_column("group", style="cyan", no_wrap=True)
        table.add_column("choices")
        for group, names in choices().items():
            table.add_row(group, ", ".join(names))
        console = Console()
        console.print(table)
        console.print(
            "\nOther keys are set by their path: [cyan]rounds=20 dataset.batch_size=10 "
            "client_optimizer.learning_rate=0.05[/]\n"
            f"[cyan]fedcli {ctx.info_name} --cfg job[/] shows them all; with [cyan]-m[/], "
            "[cyan]seed=1,2,3[/] runs one job for each value.\n",
            highlight=False,
        )
