"""Every error that fedcli raises on purpose, with the exit code it ends the command with.

FedcliError                 1   what is wrong (message), what to do next (hint)
├── UsageError              2   the command line cannot be understood
│   └── ConfigError         2   a key, a choice or a value is wrong, or keys do not fit each other
├── DataError               1   a data set cannot be had or is damaged
│   └── DownloadError       1   it could not be fetched
├── RunDirectoryError       1   a run directory cannot be written, read or resumed
├── WorkerError             1   those who do a round's work did not start or died
├── OutputError             1   stdout, which carries the results, cannot be written
├── DivergedError           1   the loss is no longer a finite number
└── Interrupted           130   the user (or a scheduler) asked the run to stop
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fedcli.masking import masked


class FedcliError(Exception):
    """An error for people: shown as two lines, never as a traceback.

    Terminals, run.log and run.json show it, so URLs in it lose their passwords.

    Args:
        message: What is wrong, in one line.
        hint: What to do next, in one line.
    """

    exit_code = 1
    #: What `--json` prints beside the error.
    details: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(masked(message))
        self.message = masked(message)
        self.hint = masked(hint)


class UsageError(FedcliError):
    """The command line cannot be understood."""

    exit_code = 2


class ConfigError(UsageError):
    """A key, a choice or a value of the config is wrong, or keys do not fit each other."""


class DataError(FedcliError):
    """A data set cannot be had, or what is there is damaged."""


class DownloadError(DataError):
    """A file could not be fetched from its origin."""


class RunDirectoryError(FedcliError):
    """A run directory cannot be written, read or resumed."""


class WorkerError(FedcliError):
    """Processes that do a round's work (TFF's own worker, Ray's) did not start, may not be used, or died."""


class OutputError(FedcliError):
    """stdout, which carries the results, cannot be written."""


class DivergedError(FedcliError):
    """The loss is no longer a finite number."""


class Interrupted(FedcliError):
    """The user, or a scheduler, asked the run to stop."""

    exit_code = 130
