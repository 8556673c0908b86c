"""The process that drives Ray. It ends, with every process and file of a local Ray, when fedcli is gone.

    python -m fedcli.runtime.cluster.driver SOCKET FOLDER

SOCKET is the descriptor of a socket for the messages; that fedcli is gone shows there. FOLDER is where a local Ray
keeps its files, and is removed. stdout and stderr are the run's log.
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from types import FrameType
from typing import TYPE_CHECKING, Any

from fedcli.errors import FedcliError, WorkerError
from fedcli.runtime.cluster.connection import connected
from fedcli.runtime.cluster.messages import Close, Done, Failed, Group, Load, Open, Opened, Ready, Round, Wanted

if TYPE_CHECKING:
    from fedcli.runtime.cluster.workers import Workers

_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 5.0
#: What leaving a cluster, or ending a local Ray, may take.
_LEAVE_SECONDS = 10.0

_log = logging.getLogger(__name__)


def main(connection: Connection, folder: Path) -> None:
    """Does what fedcli asks for, until it asks to end or is gone."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    # What Ray starts stays below this process even when its parent dies, so that all of it can be ended.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _ignore_signals()
    messages: Queue[Any] = Queue()
    threading.Thread(target=_receive, args=(connection, messages, folder), daemon=True).start()
    try:
        error = _served(Channel(connection.send, messages.get), folder)
        if error is not None:
            connection.send(Failed(error))
    except ConnectionError:  # fedcli is gone
        pass
    finally:
        _end_all(folder)


@dataclass(frozen=True)
class Channel:
    """What is said to fedcli, and what it says.

    Attributes:
        send: Sends a message.
        receive: Waits for one.
    """

    send: Callable[[Any], None]
    receive: Callable[[], Any]


def _served(fedcli: Channel, folder: Path) -> FedcliError | None:
    """Answers fedcli's messages; returns what has kept it from going on."""
    try:
        serve(fedcli, folder)
    except FedcliError as error:
        return error
    except ConnectionError:
        raise
    except Exception as error:  # whatever Ray raises
        _log.exception("the process that drives Ray failed")
        text = f"Ray failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return WorkerError(text, "the traceback is in run.log")
    return None


def serve(fedcli: Channel, folder: Path) -> None:
    """Answers fedcli's messages.

    Raises:
        FedcliError: It cannot go on.
    """
    opening: Open = fedcli.receive()
    with connected(opening.config, folder, opening.cores):
        _ignore_signals()  # Ray has taken them
        from fedcli.runtime.cluster.workers import Workers

        fedcli.send(Opened())
        workers: Workers | None = None
        while not isinstance(message := fedcli.receive(), Close):
            match message:
                case Load():
                    workers = Workers(opening.config, message.setup, opening.versions, fedcli.send)
                    workers.start()
                    ready = workers.ready
                    fedcli.send(Ready(len(ready), len({slot.node for slot in ready})))
                case Round():
                    assert workers is not None
                    _run(message, workers, opening, fedcli)


def _run(round: Round, workers: Workers, opening: Open, fedcli: Channel) -> None:
    from fedcli.runtime.cluster.dispatch import Dispatch

    def group(index: int) -> bytes:
        fedcli.send(Wanted(index))
        answer: Group = fedcli.receive()
        return answer.work

    workers.grow()
    Dispatch(round, workers, opening.config, group, fedcli.send).run()
    fedcli.send(Done())


def _receive(connection: Connection, messages: Queue[Any], folder: Path) -> None:
    """Takes messages as they come, so that fedcli never waits to be heard, and ends this process after fedcli.

    Whatever the main thread waits for then may never come.
    """
    with suppress(EOFError, OSError):
        while not isinstance(message := connection.recv(), Close):
            messages.put(message)
        messages.put(message)
        time.sleep(_LEAVE_SECONDS)
    _end_at_once(folder)


def _end_at_once(folder: Path) -> None:
    """Ends this process whatever it is at, then what Ray has started, then removes the files of a local Ray."""
    driver = os.getpid()
    if os.fork():
        os._exit(1)
    # From outside and afterwards: until its end the main thread may start processes and make files.
    os.setsid()
    while os.getppid() == driver:
        time.sleep(0.01)
    end = time.monotonic() + _KILL_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(driver, signal.SIGKILL)
            time.sleep(0.01)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _ignore_signals() -> None:
    """Leaves it to fedcli what a signal means: a scheduler sends it to all processes of a job."""

    # Not SIG_IGN, which the processes that Ray starts would inherit.
    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ignore)


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
    os.set_inheritable(int(sys.argv[1]), False)
    main(Connection(int(sys.argv[1])), Path(sys.argv[2]))
