"""The process of the `fedcli` command, also started as `python -m fedcli`."""

from fedcli.cli.process import end_on_interrupt, quit_on_interrupt


def main() -> None:
    """Runs the command line. Until the command has begun, and when it is done, Ctrl-C ends the process at once."""
    quit_on_interrupt()
    try:
        from fedcli.cli.main import main as run

        run()
    finally:
        end_on_interrupt()


# Processes that a sweep starts import this module again.
if __name__ == "__main__":
    main()
