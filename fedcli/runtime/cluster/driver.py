"""The process that drives Ray. It ends, with every process and file of a local Ray, when fedcli is gone.

    python -m fedcli.runtime.cluster.driver CONNECTION LIFE

CONNECTION is the descriptor of a socket for the messages, LIFE that of a pipe that fedcli holds open while it lives.
stdout and stderr are the run's log.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from fedcli.errors import FedcliError, WorkerError
from fedcli.runtime.cluster.connection import connected
from fedcli.runtime.cluster.messages import Close, Done, Failed, Group, Load, Lost, Open, Ready, Round, Summed, Wanted

if TYPE_CHECKING:
    from fedcli.runtime.cluster.workers import Workers

_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 5.0

_log = logging.getLogger(__name__)


def main(connection: Connection, life: int) -> None:
    """Does what fedcli asks for, until it asks to end or is gone."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    # What Ray starts stays below this process even when its parent dies, so that all of it can be ended.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _ignore_signals()
    try:
        opening: Open = connection.recv()
        threading.Thread(target=_end_with_fedcli, args=(life, opening.folder), daemon=True).start()
        try:
            serve(connection, opening)
        except FedcliError as error:
            connection.send(Failed(error))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:  # whatever Ray raises
            _log.exception("the process that drives Ray failed")
            text = f"Ray failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            connection.send(Failed(WorkerError(text, "the traceback is in run.log")))
    except (EOFError, ConnectionError):  # fedcli has closed its end, or is gone
        pass
    finally:
        with suppress(NameError):
            _end_all(opening.folder)


def serve(connection: Connection, opening: Open) -> None:
    """Answers fedcli's messages.

    Raises:
        FedcliError: It cannot go on.
        EOFError: fedcli is gone.
    """
    with connected(opening.config, opening.folder, opening.cores):
        _ignore_signals()  # Ray has taken them
        from fedcli.runtime.cluster.workers import Workers

        workers: Workers | None = None
        while True:
            message = connection.recv()
            match message:
                case Load():
                    workers = Workers(opening.config, message.setup, opening.versions, connection.send)
                    workers.start()
                    ready = workers.ready
                    connection.send(Ready(len(ready), len({slot.host for slot in ready})))
                case Round():
                    assert workers is not None
                    _run(message, workers, opening, connection)
                case Close():
                    return


def _run(round: Round, workers: Workers, opening: Open, connection: Connection) -> None:
    from fedcli.runtime.cluster.dispatch import Dispatch

    def group(index: int) -> bytes:
        connection.send(Wanted(index))
        answer: Group = connection.recv()
        return answer.work

    def tell(message: Summed | Lost) -> None:
        connection.send(message)

    workers.grow()
    Dispatch(round, workers, opening.config, group, tell).run()
    connection.send(Done())


def _ignore_signals() -> None:
    """Leaves it to fedcli what a signal means: a scheduler sends it to all processes of a job."""

    # Not SIG_IGN, which the processes that Ray starts would inherit.
    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ignore)


def _end_with_fedcli(life: int, folder: Path) -> None:
    """Waits until fedcli is gone, and ends everything at once: whatever the main thread waits for may never come."""
    os.read(life, 1)
    _end_all(folder)
    os._exit(1)


def _end_all(folder: Path) -> None:
    """Ends every process below this one and removes the files of a local Ray."""
    end = time.monotonic() + _KILL_SECONDS
    while (children := _children()) and time.monotonic() < end:
        for child in children:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)
    shutil.rmtree(folder, ignore_errors=True)


def _children() -> list[int]:
    """Lists the children of this process, orphans below it included."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


if __name__ == "__main__":
    for descriptor in sys.argv[1:]:
        os.set_inheritable(int(descriptor), False)
    main(Connection(int(sys.argv[1])), int(sys.argv[2]))
