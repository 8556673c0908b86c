"""Where logging goes: everything to the run's run.log, warnings (or all, with -v) to stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from fedcli.cli.console import output
from fedcli.cli.streams import log_problems
from fedcli.masking import masked
from fedcli.runs.atomic import storage_errors


def log_to_stderr() -> None:
    """Shows fedcli's warnings on stderr, with -v all that fedcli logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO if output.verbosity > 0 else logging.WARNING)
    handler.setFormatter(_WithoutTraceback())
    # Other libraries' warnings (TensorFlow's above all) are for the log.
    handler.addFilter(logging.Filter("fedcli"))
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


class _WithoutTraceback(logging.Formatter):
    """Leaves tracebacks to run.log."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(record.getMessage())


class _Masked(logging.Formatter):
    """Writes no password of a URL."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


@contextmanager
def logging_to(path: Path) -> Iterator[Callable[[], None]]:
    """Logs everything to a file too, tracebacks included.

    Yields:
        A function that opens the file. Until it is called, what is logged is held back; if it never is, the file is
        left as it was.

    Raises:
        RunDirectoryError: The file cannot be made (raised by the function).
    """
    held = MemoryHandler(sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False)
    handlers: list[logging.Handler] = [held]
    root = logging.getLogger()
    root.addHandler(held)

    def opened() -> None:
        with storage_errors(path):
            handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(_Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        # A full disk must not end a run by its log: what matters is written elsewhere, and fails there.
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        handlers.append(handler)
        held.setTarget(handler)
        held.flush()
        root.addHandler(handler)
        root.removeHandler(held)

    log_problems()
    try:
        yield opened
    except Exception:
        if len(handlers) > 1:  # else the log is as it was
            output.run_log = path
        raise
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
