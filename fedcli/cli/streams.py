"""The standard streams of a command: who reads them, or no longer does, never decides over a run.

stderr is for people. A write to it never fails and, while a run trains, never waits for long: without a reader the text
is dropped, and the run's log says so. stdout carries results. A result that cannot be written is an error, unless its
reader has gone (`| head`).
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: More bytes of results are written before the command asks for it.
_BUFFER = 1 << 16
#: A pipe that poll reports as writable takes so many bytes at once (PIPE_BUF).
_PIECE = 4096
#: A run waits so long for somebody who has read until now.
_PATIENCE_SECONDS = 1.0


class ReaderGone(Exception):
    """Whoever reads stdout has read enough. The command ends with exit code 0, as if all had been read."""


class StandardStream(io.TextIOBase):
    """Writes text to a descriptor, without a buffer of Python's that could fail at the process's end.

    Characters that the encoding lacks are written as escapes.

    Args:
        descriptor: 1 or 2.
        encoding: The encoding.
        errors: Python's name for the treatment of characters that the encoding lacks; escapes if that fails.
        carries_results: Whether a failed write is an error.
    """

    def __init__(self, descriptor: int, encoding: str, errors: str, *, carries_results: bool) -> None:
        self._descriptor = descriptor
        self._encoding, self._errors = encoding, errors
        self._carries_results = carries_results
        self._pending: list[str] = []
        self._pending_size = 0
        self._is_stalled = False
        self._gone: str | None = None
        self._was_terminal = os.isatty(descriptor)
        #: What the run's log says of the stream; None while it can be written.
        self.problem: str | None = None
        #: Seconds that a write waits for the reader; None for as long as it takes.
        self.patience: float | None = None

    @property
    def name(self) -> str:
        """`stdout` or `stderr`."""
        return "stdout" if self._carries_results else "stderr"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The treatment of characters that the encoding lacks."""
        return self._errors

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tells whether a terminal shows the stream."""
        if self._gone is not None:
            return False
        is_terminal = os.isatty(self._descriptor)
        if self._was_terminal and not is_terminal and not self._carries_results:
            # Rich asks, and writes nothing any more: no write would tell that the terminal has vanished.
            self._failed(OSError(errno.EIO, ""))
        return is_terminal

    def writable(self) -> bool:
        """Tells that the stream is for writing."""
        return True

    def write(self, text: str) -> int:
        """Writes text; results once there are enough of them, or with `flush`.

        Raises:
            ReaderGone: The stream carries results, and nobody reads it any more.
            OutputError: The stream carries results, and cannot be written.
        """
        if not isinstance(text, str):
            raise TypeError(f"text is needed, not {type(text).__name__}")
        self._pending.append(text)
        self._pending_size += len(text)
        is_due = self._pending_size >= _BUFFER or ("\n" in text and self.isatty())
        if is_due or not self._carries_results:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Writes what is left to write.

        Raises:
            ReaderGone: As for `write`.
            OutputError: As for `write`.
        """
        text, self._pending, self._pending_size = "".join(self._pending), [], 0
        if not text:
            return
        if self._gone is None:
            try:
                self._write(self._encoded(text))
            except OSError as error:
                self._failed(error)
        elif self._carries_results:
            self._refuse(self._gone)

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode(self._encoding, self._errors)
        except UnicodeEncodeError:
            return text.encode(self._encoding, "backslashreplace")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self.patience is not None and not self._is_ready(0 if self._is_stalled else self.patience):
                if not self._is_stalled:
                    self._is_stalled = True
                    self._note("is not read: lines are left out until it is")
                return
            if self._is_stalled:
                self._is_stalled, self.problem = False, None
            try:
                view = view[os.write(self._descriptor, view if self.patience is None else view[:_PIECE]) :]
            except BlockingIOError:  # another program has set the pipe or terminal so
                self._is_ready(None)

    def _is_ready(self, seconds: float | None) -> bool:
        """Waits until the descriptor takes bytes, or fails, which the write then shows."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(None if seconds is None else round(1000 * seconds)))

    def _failed(self, error: OSError) -> None:
        reason = "it is closed" if error.errno == errno.EBADF else os.strerror(error.errno or 0)
        if self._carries_results:
            self._gone = "" if isinstance(error, BrokenPipeError) else reason
            self._refuse(self._gone)
        # A full disk can be cleared. A pipe or a terminal does not come back.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            self._gone = reason
        self._note(f"cannot be written ({reason})")

    def _refuse(self, reason: str) -> None:
        from fedcli.errors import OutputError

        if not reason:
            raise ReaderGone
        raise OutputError(
            f"cannot write to stdout: {reason}", "send it to a file, a pipe or a terminal that can be written"
        )

    def _note(self, what: str) -> None:
        """Tells the log, once for each problem."""
        import logging

        problem = f"{self.name} {what}; the run goes on"
        if problem != self.problem:
            self.problem = problem
            logging.getLogger(__name__).warning(problem)


def take_over_standard_streams() -> None:
    """Puts `StandardStream`s in the place of `sys.stdout` and `sys.stderr`, unless somebody else has replaced them.

    Descriptors that were closed when the process started are filled first: the next file that is opened would be
    stdout or stderr otherwise, and libraries would write into it.
    """
    _fill_closed_descriptors()
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream, original = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is original:  # both None where the descriptor was closed
            encoding = getattr(stream, "encoding", None) or "utf-8"
            errors = getattr(stream, "errors", None) or "backslashreplace"
            is_result = descriptor == 1
            setattr(sys, name, StandardStream(descriptor, encoding, errors, carries_results=is_result))


def _fill_closed_descriptors() -> None:
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Only for reading, so that a write still fails.
            opened = os.open(os.devnull, os.O_RDONLY)
            if opened == descriptor:
                os.set_inheritable(opened, True)
            else:
                os.dup2(opened, descriptor)
                os.close(opened)


@contextmanager
def not_waiting_for_readers() -> Iterator[None]:
    """Has what people see dropped in this block where they do not read it: a stopped pager, a terminal on hold."""
    stream = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    if not isinstance(stream, StandardStream):
        yield
        return
    before, stream.patience = stream.patience, _PATIENCE_SECONDS
    try:
        yield
    finally:
        stream.patience = before


def log_problems() -> None:
    """Tells the log of problems that standard streams had before it was opened."""
    import logging

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, StandardStream) and stream.problem:
            logging.getLogger(__name__).warning(stream.problem)
