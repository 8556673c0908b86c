"""The life of TensorFlow Federated's own worker, a child process that `runtime=tff` computes in.

TFF 0.87 runs every computation in a C++ server, `data/worker_binary`, reached by gRPC. Started by TFF itself,
it keeps the terminal's stdout open, outlives most exits, is waited for without a limit and takes work from
everyone who can reach the machine. Here it is started, reached and ended like this:

    fedcli ──── unix socket, mode 0600 ────┐        private network namespace
      └─ worker_sandbox.py (guard) ────────┴──TCP──> worker_binary

The kernel ends the guard with fedcli, and the worker with the guard, SIGKILL included.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import logging
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fedcli.errors import WorkerError

if TYPE_CHECKING:
    import tensorflow_federated as tff

_log = logging.getLogger(__name__)

_SANDBOX = Path(__file__).with_name("worker_sandbox.py")

# The system allows a unix socket's path 107 bytes; a batch system's TMPDIR can take more than that alone.
_MAX_DIRECTORY_BYTES = 90

# The guard gives the worker 2 s to end.
_CLOSE_SECONDS = 5.0

_TAIL_LINES = 10
_TAIL_BYTES = 64 * 1024


class TFFWorker:
    """TFF's worker process as a context manager.

    Starting it imports neither TensorFlow nor TFF, so that it comes up while they are imported:

        with TFFWorker(run_dir / "worker.log") as worker:
            import tensorflow_federated as tff

            worker.install()
            with worker.translate_errors():
                state = process.next(state, clients).state

    Args:
        log_path: File that the worker's output is appended to.
        binary: The worker's program; None means the one in the installed TFF.
        isolate: Whether to give the worker a network of its own. Without one, or where the system does not
            permit it, the worker listens on every interface of the machine, and a warning is logged.
        max_concurrent_computation_calls: How many clients the worker computes at a time; -1 means no limit.
    """

    def __init__(
        self,
        log_path: str | os.PathLike[str],
        *,
        binary: str | os.PathLike[str] | None = None,
        isolate: bool = True,
        max_concurrent_computation_calls: int = -1,
    ) -> None:
        self._log_path = Path(log_path)
        self._binary = None if binary is None else Path(binary)
        self._isolate = isolate
        self._max_concurrent_computation_calls = max_concurrent_computation_calls

        self._guard: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0
        self._directory = ""
        self._log_start = 0
        self._closed = False

        self._report_lock = threading.Lock()
        self._unread = b""
        self._isolated: bool | None = None
        self._worker_pid: int | None = None
        self._port: int | None = None
        self._ready = False
        self._ended = ""

    @property
    def address(self) -> str:
        """Where gRPC reaches the worker."""
        return f"unix:{self._directory}/socket"

    @property
    def isolated(self) -> bool | None:
        """Whether the worker has a network of its own; None until it is known."""
        return self._isolated

    @property
    def port(self) -> int | None:
        """The worker's TCP port, in its own network when it has one; None until it is known."""
        return self._port

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes: the guard, then the worker once it is started."""
        guard_pid = None if self._guard is None else self._guard.pid
        return tuple(pid for pid in (guard_pid, self._worker_pid) if pid is not None)

    def start(self) -> Self:
        """Starts the worker and returns at once. Call it from the main thread.

        Raises:
            WorkerError: If there is no worker program, or the system cannot start a process.
            RuntimeError: If it was started before, or this is not the main thread.
        """
        if self._guard is not None or self._closed:
            raise RuntimeError("a TFFWorker starts only once")
        if threading.current_thread() is not threading.main_thread():
            # The kernel takes the end of the starting thread, not of the process, for the parent's death.
            raise RuntimeError("start a TFFWorker from the main thread: it ends with the thread that starts it")
        binary = self._binary or _find_binary()
        if not (binary.is_file() and os.access(binary, os.X_OK)):
            raise WorkerError(
                f"TFF's worker program is missing or cannot be run: {binary}",
                "reinstall TensorFlow Federated 0.87.0, or use runtime=local, which does not need the worker",
            )
        self._owner_pid = os.getpid()
        self._directory = _new_directory_name()
        command = [sys.executable, "-I", "-S", str(_SANDBOX), str(self._owner_pid)]
        command += ["isolate" if self._isolate else "share", self._directory, str(binary)]
        command += [f"--max_concurrent_computation_calls={self._max_concurrent_computation_calls}"]
        # What keeps TensorFlow's messages off the terminal must not keep the worker's out of its log.
        environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with self._log_path.open("ab") as log:
                self._log_start = log.tell()
                self._guard = subprocess.Popen(
                    command,
                    bufsize=0,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    # Ctrl+C goes to all processes in front of the terminal: fedcli decides what it means.
                    start_new_session=True,
                )
        except OSError as error:
            raise WorkerError(
                f"TFF's worker could not be started: {error}",
                "free disk space, memory or processes, or use runtime=local, which does not need the worker",
            ) from error
        atexit.register(self.close)
        return self

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Waits until the worker takes calls.

        Args:
            timeout: Seconds, counted from this call.

        Raises:
            WorkerError: If it ended, or is not ready in time; it is closed then.
        """
        if self._guard is None:
            raise RuntimeError("start() the TFFWorker first")
        deadline = time.monotonic() + timeout
        while not self._ready:
            error = self._failure(0)
            if error is None and not self._ready and not self._read_report(deadline - time.monotonic()):
                # Nothing new in time, or the end of the report.
                error = self._failure(0) or WorkerError(
                    f"TFF's worker was not ready within {timeout:g} s{self._log_tail()}",
                    f"try again on a less busy machine, or use runtime=local; its log: {self._log_path}",
                )
            if error is not None:
                self.close()
                raise error

    def context(self, timeout: float = 60.0) -> tff.framework.SyncExecutionContext:
        """Imports TFF, waits until the worker is ready and returns an execution context that computes in it.

        Args:
            timeout: Seconds to wait at most, counted from the end of importing TFF.

        Raises:
            WorkerError: If the worker ended or is not ready in time.
        """
        from fedcli.runtime.engine.worker_context import create_context

        deadline = time.monotonic() + timeout
        self.wait_ready(timeout)
        try:
            return create_context(self.address, self._failure, deadline - time.monotonic())
        except TimeoutError as error:
            failure = WorkerError(
                f"TFF's worker did not answer within {timeout:g} s{self._log_tail()}",
                f"try again on a less busy machine, or use runtime=local; its log: {self._log_path}",
            )
            self.close()
            raise failure from error

    def install(self, timeout: float = 60.0) -> tff.framework.SyncExecutionContext:
        """Makes `context()` the one that TFF computations are executed in, and returns it.

        Args:
            timeout: Seconds to wait for the worker at most.

        Raises:
            WorkerError: If the worker ended or is not ready in time.
        """
        import tensorflow_federated as tff

        context = self.context(timeout)
        tff.framework.set_default_context(context)
        return context

    @contextlib.contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turns whatever is raised inside because the worker died into a WorkerError that says so.

        Lost connections to the worker do it by themselves; this is for what runs around them. Errors raised
        while the worker lives pass unchanged.

        Raises:
            WorkerError: If the worker died.
        """
        try:
            yield
        except WorkerError:
            raise
        except Exception as error:
            from fedcli.runtime.engine.worker_context import explain

            if failure := explain(error, self._failure):
                raise failure from error
            raise

    def close(self) -> None:
        """Ends the worker, waits until it is gone and removes its socket. May be called again."""
        # A forked copy of this process, as of multiprocessing, does not own the worker.
        if self._closed or self._guard is None or os.getpid() != self._owner_pid:
            return
        self._closed = True
        atexit.unregister(self.close)
        # gRPC's channel stays open: TFF's stub watches it in a thread, which closing it would end with a
        # traceback. It goes with the execution context.
        self._guard.terminate()
        try:
            self._guard.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            # Its session holds all of its processes; not reaped yet, it cannot have given its id to another.
            os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait()
        if self._guard.stdout is not None:
            with self._report_lock:
                self._guard.stdout.close()
        # The guard does it, unless it was killed.
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read_report(self, timeout: float) -> bool:
        """Takes in what the guard has reported; False when there is nothing new until the timeout."""
        with self._report_lock:
            if self._guard is None or self._guard.stdout is None or self._guard.stdout.closed:
                return False
            # select() would refuse a file descriptor above 1023.
            poll = select.poll()
            poll.register(self._guard.stdout, select.POLLIN)
            if not poll.poll(max(timeout, 0) * 1000):
                return False
            chunk = os.read(self._guard.stdout.fileno(), 4096)
            if not chunk:
                self._ended = self._ended or "with the process that guards it"
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                self._take_in(line.decode(errors="replace"))
            return bool(chunk)

    def _take_in(self, line: str) -> None:
        """Takes in one line of the guard's report; `worker_sandbox.py` lists them."""
        word, _, rest = line.partition(" ")
        if word == "isolated":
            self._isolated = True
        elif word == "shared":
            self._isolated = False
            _log.warning(
                "TFF's worker has no network of its own (%s): while this run lasts it listens on all network "
                "interfaces of this machine without authentication, and runs any computation it is sent, as "
                "you. On a machine that others can reach, use runtime=local.",
                rest,
            )
        elif word == "started":
            self._worker_pid, self._port = map(int, rest.split())
        elif word == "ready":
            self._ready = True
        elif word == "ended":
            self._ended = rest

    def _failure(self, within: float) -> WorkerError | None:
        """Says how the worker ended, waiting for the news for some seconds at most; None while it lives."""
        deadline = time.monotonic() + within
        while not (self._closed or self._ended) and self._read_report(deadline - time.monotonic()):
            pass
        if self._ended:
            advice = "fewer clients at a time need less memory; " if "SIGKILL" in self._ended else ""
            return WorkerError(
                f"TFF's worker ended {self._ended}{self._log_tail()}", f"{advice}its log: {self._log_path}"
            )
        return WorkerError("TFF's worker is closed", "start a new TFFWorker") if self._closed else None

    def _log_tail(self) -> str:
        """The last lines that the worker wrote in this run, to follow the words of an error."""
        with contextlib.suppress(OSError), self._log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
            if lines:
                return "; the last lines of its log:\n" + "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
        return "; it wrote nothing"


def _find_binary() -> Path:
    """Finds the worker's program in the installed TFF, without importing TFF."""
    spec = importlib.util.find_spec("tensorflow_federated")
    if spec is None or spec.origin is None:
        raise WorkerError(
            "TensorFlow Federated is not installed",
            "install fedcli with its dependencies, as its README says",
        )
    return Path(spec.origin).parent / "data" / "worker_binary"


def _new_directory_name() -> str:
    """Names a directory, for the guard to make, that nobody else can have made before."""
    name = f"fedcli-worker-{secrets.token_hex(8)}"
    path = os.path.join(tempfile.gettempdir(), name)
    return path if len(os.fsencode(path)) <= _MAX_DIRECTORY_BYTES else os.path.join("/tmp", name)
