"""The command line: one file a command, registered in `main`. The only place that knows Typer and Hydra."""
