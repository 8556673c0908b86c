"""`python -m fedcli`: the same as `fedcli`."""

from fedcli.cli.main import main

# Processes that a sweep starts import this module again.
if __name__ == "__main__":
    main()
