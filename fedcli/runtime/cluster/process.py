"""fedcli's end of the process that drives Ray."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fedcli.errors import WorkerError
from fedcli.runtime.cluster.messages import Close, Failed

_CLOSE_SECONDS = 20.0
#: The system allows a unix socket's path 107 bytes; of them Ray's own part takes up to 67, and what is made here 20.
_LONGEST_FOLDER = 20


class DriverProcess:
    """The process that drives Ray.

    Args:
        log_path: File that its output is appended to.

    Attributes:
        folder: A folder that nobody else can enter, for the files of a local Ray.
    """

    def __init__(self, log_path: Path) -> None:
        parent = tempfile.gettempdir()
        self.folder = Path(
            tempfile.mkdtemp(prefix="fedcli-ray-", dir=parent if len(parent) <= _LONGEST_FOLDER else "/tmp")
        )
        ours, theirs = socket.socketpair()
        with theirs, log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fedcli.runtime.cluster.driver", str(theirs.fileno()), str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in a terminal is for fedcli alone.
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())

    def send(self, message: Any) -> None:
        """Sends a message.

        Raises:
            WorkerError: The process is gone; what it said before is raised if it said why.
        """
        try:
            self._connection.send(message)
        except OSError:
            self.receive(0.0)
            raise self._gone() from None

    def receive(self, seconds: float) -> Any:
        """Waits for a message.

        Raises:
            FedcliError: The process says that it cannot go on.
            WorkerError: It is gone, or says nothing for so long.
        """
        try:
            if not self._connection.poll(seconds):
                raise WorkerError(
                    f"no answer from Ray within {seconds:.0f} seconds",
                    "see what Ray says in run.log; is the head of the cluster well?",
                )
            message = self._connection.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if isinstance(message, Failed):
            raise message.error
        return message

    def close(self, busy: bool) -> None:
        """Ends the process, and with it a local Ray.

        Args:
            busy: Whether it is at work on something, which is then given up.
        """
        if not busy:
            with suppress(OSError):
                self._connection.send(Close())
        self._connection.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            # What Ray has started is in its group. Nothing is left there unless it did not come to end it.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _gone(self) -> WorkerError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.poll()
        return WorkerError(
            "the process that drives Ray has ended"
            + (f" with exit status {status}" if status is not None else "")
            + ": the head of the cluster, or Ray on this machine, is lost",
            "see run.log for what Ray said",
        )
