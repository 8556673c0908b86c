"""TFF's own worker: it starts, computes, is reached by its user alone, and is gone afterwards."""

import contextlib
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fedcli.errors import WorkerError
from fedcli.runtime.engine.worker import TFFWorker, _find_binary

READY_SECONDS = 60
GONE_SECONDS = 15


@pytest.fixture(scope="module")
def tff() -> ModuleType:
    with warnings.catch_warnings():
        # TFF's and TensorBoard's imports use deprecated interfaces of setuptools, numpy and protobuf.
        warnings.simplefilter("ignore")
        import tensorflow_federated as tff

    return tff


@pytest.fixture(scope="module")
def worker(tff: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TFFWorker]:
    with TFFWorker(tmp_path_factory.mktemp("worker") / "logs" / "worker.log") as worker:
        worker.wait_ready(READY_SECONDS)
        yield worker


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a shell script to stand in for the worker's program."""

    def write(body: str) -> Path:
        path = tmp_path / "fake_worker"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


def socket_path(worker: TFFWorker) -> Path:
    return Path(worker.address.removeprefix("unix:"))


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that only waits for an idle init to collect it does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def processes_with(argument: Path) -> list[int]:
    """Finds the processes that have a path in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(argument) in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = GONE_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def start_parent(tmp_path: Path, ending: str) -> tuple[subprocess.Popen[str], list[int], Path]:
    """Starts a Python process with a ready worker, which then runs `ending`."""
    program = f"""
import os, signal, sys, time
from fedcli.runtime.engine.worker import TFFWorker
worker = TFFWorker({str(tmp_path / "worker.log")!r}).start()
worker.wait_ready({READY_SECONDS})
print(*worker.pids, worker.address.removeprefix("unix:"), flush=True)
{ending}
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    *pids, path = parent.stdout.readline().split()
    assert len(pids) == 2
    return parent, [int(pid) for pid in pids], Path(path)


def make_sum(tff: ModuleType) -> Callable[[list[int]], int]:
    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def total(values: Any) -> Any:
        return tff.federated_sum(values)

    return total


def make_endless(tff: ModuleType) -> Callable[[int], int]:
    import tensorflow as tf

    @tff.tensorflow.computation(np.int32)
    def endless(start: Any) -> Any:
        return tf.while_loop(lambda i: i >= 0, lambda i: (i + 1) % 1000, [start])[0]

    return endless


class TestReadyWorker:
    def test_computes_a_sum_over_clients(self, tff: ModuleType, worker: TFFWorker) -> None:
        worker.install(READY_SECONDS)
        total = make_sum(tff)
        assert total([1, 2, 39]) == 42
        assert total([1, 2]) == 3

    def test_takes_messages_of_a_model(self, tff: ModuleType, worker: TFFWorker) -> None:
        worker.install(READY_SECONDS)
        size = 2_000_000  # 8 MB, twice gRPC's own limit

        @tff.federated_computation(tff.FederatedType(tff.TensorType(np.float32, (size,)), tff.CLIENTS))
        def total(values: Any) -> Any:
            return tff.federated_sum(values)

        np.testing.assert_array_equal(total([np.ones(size, np.float32)] * 2), np.full(size, 2, np.float32))

    def test_counts_no_clients_where_none_are_given(self, tff: ModuleType, worker: TFFWorker) -> None:
        worker.install(READY_SECONDS)

        @tff.federated_computation
        def total() -> Any:
            return tff.federated_sum(tff.federated_value(1, tff.CLIENTS))

        assert total() == 0

    def test_errors_of_a_computation_pass_unchanged(self, tff: ModuleType, worker: TFFWorker) -> None:
        import grpc
        import tensorflow as tf

        worker.install(READY_SECONDS)

        @tff.tensorflow.computation(np.int32)
        def refuse(value: Any) -> Any:
            with tf.control_dependencies([tf.debugging.Assert(value > 5, [value])]):
                return tf.identity(value)

        with pytest.raises(grpc.RpcError, match="assertion failed"), worker.translate_errors():
            refuse(1)

    def test_waiting_again_returns_at_once(self, worker: TFFWorker) -> None:
        worker.wait_ready(0)

    def test_its_output_is_in_the_log(self, worker: TFFWorker) -> None:
        assert "TFF ExecutorService started" in worker._log_path.read_text()

    def test_it_inherits_no_file_but_the_log(self, worker: TFFWorker) -> None:
        descriptors = Path(f"/proc/{worker.pids[1]}/fd")
        assert os.readlink(descriptors / "0") == "/dev/null"
        assert os.readlink(descriptors / "1") == os.readlink(descriptors / "2") == str(worker._log_path)
        kinds = {os.readlink(link).partition(":")[0] for link in descriptors.iterdir()}
        assert kinds <= {"/dev/null", str(worker._log_path), "socket", "anon_inode"}

    def test_only_its_user_can_open_the_socket(self, worker: TFFWorker) -> None:
        path = socket_path(worker)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_its_port_is_closed_to_this_machine(self, worker: TFFWorker) -> None:
        if not worker.isolated:
            pytest.skip("this system does not permit user and network namespaces")
        assert worker.port is not None
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", worker.port))
        assert os.readlink(f"/proc/{worker.pids[1]}/ns/net") != os.readlink("/proc/self/ns/net")

    def test_a_forked_copy_leaves_it_alone(self, worker: TFFWorker) -> None:
        # A real fork would copy gRPC's threads half way: what counts is whose process id it finds.
        owner = worker._owner_pid
        worker._owner_pid = owner + 1
        try:
            worker.close()
        finally:
            worker._owner_pid = owner
        assert all(is_alive(pid) for pid in worker.pids)


def test_starting_imports_neither_tensorflow_nor_tff(tmp_path: Path) -> None:
    parent, _, _ = start_parent(
        tmp_path, "print(*sorted({'tensorflow', 'tensorflow_federated', 'grpc'} & set(sys.modules)))"
    )
    output, _ = parent.communicate(timeout=GONE_SECONDS)
    assert parent.returncode == 0
    assert output.split() == []


def test_close_leaves_nothing(tmp_path: Path) -> None:
    worker = TFFWorker(tmp_path / "worker.log").start()
    worker.wait_ready(READY_SECONDS)
    pids, directory = worker.pids, socket_path(worker).parent
    assert directory.exists()
    worker.close()
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)  # no zombie either
    assert not directory.exists()
    worker.close()


def test_close_before_it_is_ready_leaves_nothing(tmp_path: Path) -> None:
    worker = TFFWorker(tmp_path / "worker.log").start()
    worker.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in worker.pids)
    assert not socket_path(worker).parent.exists()
    with pytest.raises(WorkerError, match="closed"):
        worker.wait_ready(READY_SECONDS)


def test_close_ends_a_worker_that_ignores_sigterm(tmp_path: Path, script: Callable[[str], Path]) -> None:
    binary = script("trap '' TERM\necho trapped\nexec sleep 1000")
    worker = TFFWorker(tmp_path / "worker.log", binary=binary).start()
    assert wait_until(lambda: "trapped" in (tmp_path / "worker.log").read_text())
    with pytest.raises(WorkerError, match=r"was not ready within 0\.1 s"):
        worker.wait_ready(0.1)
    assert len(worker.pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in worker.pids)


def test_log_is_appended_to(tmp_path: Path, script: Callable[[str], Path]) -> None:
    log = tmp_path / "worker.log"
    log.write_text("of an earlier run\n")
    with pytest.raises(WorkerError) as caught, TFFWorker(log, binary=script("exit 0")) as worker:
        worker.wait_ready(READY_SECONDS)
    assert "it wrote nothing" in caught.value.message
    assert log.read_text() == "of an earlier run\n"


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_parent_leaves_nothing(tmp_path: Path, signum: signal.Signals) -> None:
    parent, pids, path = start_parent(tmp_path, "sys.stderr.close(); time.sleep(1000)")
    assert all(is_alive(pid) for pid in pids)
    parent.send_signal(signum)
    parent.communicate(timeout=GONE_SECONDS)
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids))
    assert wait_until(lambda: not path.parent.exists())


@pytest.mark.parametrize("delay", [0, 0.01, 0.02, 0.03, 0.05, 0.1])
def test_a_parent_killed_while_it_starts_leaves_nothing(tmp_path: Path, delay: float) -> None:
    binary = tmp_path / "worker_binary"  # a name by which its processes can be told from others
    binary.symlink_to(_find_binary())
    program = f"""
import os, signal, time
from fedcli.runtime.engine.worker import TFFWorker
worker = TFFWorker({str(tmp_path / "worker.log")!r}, binary={str(binary)!r}).start()
print(worker.address.removeprefix("unix:"), flush=True)
time.sleep({delay})
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL
    assert wait_until(lambda: not processes_with(binary))
    assert not Path(parent.stdout.strip()).parent.exists()


def test_a_killed_guard_takes_the_worker_along(tmp_path: Path) -> None:
    with TFFWorker(tmp_path / "worker.log") as worker:
        worker.wait_ready(READY_SECONDS)
        os.kill(worker.pids[0], signal.SIGKILL)
        assert wait_until(lambda: not is_alive(worker.pids[1]))
    assert not socket_path(worker).parent.exists()


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "raise KeyboardInterrupt", "os._exit(0)"])
def test_the_parents_stdout_and_stderr_end_with_it(tmp_path: Path, ending: str) -> None:
    parent, pids, path = start_parent(tmp_path, f"sys.stderr = open(os.devnull, 'w')\n{ending}")
    parent.communicate(timeout=GONE_SECONDS)  # returns at the end of the pipe, as `| tail` does
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids))
    assert wait_until(lambda: not path.parent.exists())


class TestWithoutIsolation:
    def test_computes_and_warns(self, tff: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with (
            caplog.at_level(logging.WARNING, "fedcli"),
            TFFWorker(tmp_path / "worker.log", isolate=False) as worker,
        ):
            worker.install(READY_SECONDS)
            assert make_sum(tff)([20, 22]) == 42
            assert worker.isolated is False
            assert worker.port is not None
            socket.create_connection(("127.0.0.1", worker.port), timeout=5).close()
        (record,) = [record for record in caplog.records if record.name == "fedcli.runtime.engine.worker"]
        message = record.getMessage()
        assert "isolation is switched off" in message
        assert "listens on all network interfaces of this machine without authentication" in message

    def test_two_at_a_time_do_not_share_a_port(self, tmp_path: Path) -> None:
        with (
            TFFWorker(tmp_path / "a.log", isolate=False) as first,
            TFFWorker(tmp_path / "b.log", isolate=False) as second,
        ):
            first.wait_ready(READY_SECONDS)
            second.wait_ready(READY_SECONDS)
            assert first.port != second.port
            assert first.address != second.address

    def test_its_port_is_given_to_nobody_else(self, tmp_path: Path) -> None:
        with TFFWorker(tmp_path / "worker.log", isolate=False) as worker, socket.socket() as other:
            worker.wait_ready(READY_SECONDS)
            assert worker.port is not None
            with pytest.raises(OSError, match="in use"):
                other.bind(("", worker.port))

    def test_it_is_the_way_out_where_namespaces_are_refused(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        # In a user namespace that permits no further one; the refusal is the same as from a system's setting.
        program = f"""
import logging
from fedcli.runtime.engine.worker import TFFWorker
logging.basicConfig()
with TFFWorker({str(tmp_path / "worker.log")!r}) as worker:
    worker.wait_ready({READY_SECONDS})
    print(worker.isolated)
"""
        forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
        try:
            run = subprocess.run(
                [
                    "unshare",
                    "--user",
                    "--map-root-user",
                    "sh",
                    "-c",
                    forbid,
                    "-",
                    sys.executable,
                    "-c",
                    program,
                ],
                capture_output=True,
                text=True,
                timeout=READY_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            pytest.skip("needs util-linux's unshare")
        if "unshare failed" in run.stderr or "max_user_namespaces" in run.stderr:
            pytest.skip("this system does not permit user namespaces in the first place")
        assert run.stdout.strip() == "False", run.stderr
        assert "has no network of its own (unshare: " in run.stderr


class TestFailures:
    def test_a_program_that_ends_at_once(self, tmp_path: Path, script: Callable[[str], Path]) -> None:
        binary = script("echo one\necho its reason >&2\nexit 3")
        begin = time.monotonic()
        with (
            pytest.raises(WorkerError) as caught,
            TFFWorker(tmp_path / "worker.log", binary=binary) as worker,
        ):
            worker.wait_ready(READY_SECONDS)
        assert time.monotonic() - begin < READY_SECONDS / 2
        assert caught.value.message == (
            "TFF's worker ended with exit status 3; the last lines of its log:\n  one\n  its reason"
        )
        assert str(tmp_path / "worker.log") in caught.value.hint

    def test_a_program_that_is_never_ready(self, tmp_path: Path, script: Callable[[str], Path]) -> None:
        begin = time.monotonic()
        with TFFWorker(tmp_path / "worker.log", binary=script("echo starting\nexec sleep 1000")) as worker:
            assert wait_until(lambda: "starting" in (tmp_path / "worker.log").read_text())
            with pytest.raises(WorkerError, match=r"not ready within 0\.3 s(.|\n)*  starting"):
                worker.wait_ready(0.3)
        assert time.monotonic() - begin < 10
        assert not any(Path(f"/proc/{pid}").exists() for pid in worker.pids)

    def test_a_program_that_listens_but_does_not_answer(
        self, tff: ModuleType, tmp_path: Path, script: Callable[[str], Path]
    ) -> None:
        # Its port is kept for programs that share it, as gRPC does.
        program = tmp_path / "mute.py"
        program.write_text(
            "import socket, sys\n"
            "server = socket.create_server(('', int(sys.argv[1].split('=')[1])), reuse_port=True)\n"
            "connections = [server.accept() for _ in range(1000)]\n"
        )
        binary = script(f'exec {sys.executable} {program} "$@"')
        with (
            TFFWorker(tmp_path / "worker.log", binary=binary) as worker,
            pytest.raises(WorkerError, match="did not answer within 3 s"),
        ):
            worker.install(3)

    def test_no_program(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="missing or cannot be run") as caught:
            TFFWorker(tmp_path / "worker.log", binary=tmp_path / "none").start()
        assert "runtime=local" in caught.value.hint

    def test_a_program_of_another_kind(self, tmp_path: Path) -> None:
        binary = tmp_path / "worker"
        binary.write_bytes(b"\0 no program")
        binary.chmod(0o755)
        with (
            pytest.raises(WorkerError, match="cannot be run"),
            TFFWorker(tmp_path / "worker.log", binary=binary) as worker,
        ):
            worker.wait_ready(READY_SECONDS)

    def test_a_log_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(WorkerError, match="could not be started"):
            TFFWorker(tmp_path / "file" / "worker.log").start()

    @pytest.mark.parametrize("victim", [0, 1], ids=["guard", "worker"])
    def test_death_in_the_middle_of_a_computation(self, tff: ModuleType, tmp_path: Path, victim: int) -> None:
        with TFFWorker(tmp_path / "worker.log") as worker:
            worker.install(READY_SECONDS)
            endless, total = make_endless(tff), make_sum(tff)
            assert total([1, 2]) == 3
            killer = threading.Timer(0.5, os.kill, (worker.pids[victim], signal.SIGKILL))
            killer.start()
            with pytest.raises(WorkerError, match="TFF's worker ended") as caught:
                endless(1)
            killer.join()
            assert "the last lines of its log:\n  " in caught.value.message
            assert ("SIGKILL" in caught.value.message) == (victim == 1)
            with pytest.raises(WorkerError, match="TFF's worker ended"):
                total([1, 2])
        with pytest.raises(WorkerError, match="TFF's worker ended"):
            total([1, 2])

    def test_a_computation_after_close(self, tff: ModuleType, tmp_path: Path) -> None:
        with TFFWorker(tmp_path / "worker.log") as worker:
            worker.install(READY_SECONDS)
        with pytest.raises(WorkerError, match="closed"):
            make_sum(tff)([1, 2])

    def test_a_failure_that_tff_would_repeat_for_ever(self, tff: ModuleType, worker: TFFWorker) -> None:
        import grpc

        from fedcli.runtime.engine.worker_context import _NoRetry

        class Call(grpc.RpcError):
            def code(self) -> grpc.StatusCode:
                return grpc.StatusCode.FAILED_PRECONDITION

            def details(self) -> str:
                return "table not initialized"

            def exception(self) -> BaseException:
                return self

        with pytest.raises(WorkerError, match="could not do a computation: table not initialized"):
            _NoRetry(worker._failure).intercept_unary_unary(lambda details, request: Call(), None, None)

    def test_translate_errors_explains_what_a_death_caused(
        self, tff: ModuleType, tmp_path: Path, script: Callable[[str], Path]
    ) -> None:
        worker = TFFWorker(tmp_path / "worker.log", binary=script("exec sleep 1000"))
        with pytest.raises(KeyError), worker.translate_errors():
            raise KeyError("the worker is not started")
        worker.start()
        with pytest.raises(KeyError), worker.translate_errors():
            raise KeyError("the worker lives")
        worker.close()
        with pytest.raises(WorkerError, match="closed"), worker.translate_errors():
            raise KeyError("the worker is dead")

    def test_it_starts_once_and_in_the_main_thread_only(self, tmp_path: Path, script: Callable[[str], Path]) -> None:
        worker = TFFWorker(tmp_path / "worker.log", binary=script("exec sleep 1000"))
        with pytest.raises(RuntimeError, match=r"start\(\) the TFFWorker first"):
            worker.wait_ready(1)
        errors: list[str] = []

        def start() -> None:
            try:
                worker.start()
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        assert "main thread" in errors[0]
        with worker, pytest.raises(RuntimeError, match="only once"):
            worker.start()


def test_it_passes_the_limit_of_parallel_clients_on(tmp_path: Path, script: Callable[[str], Path]) -> None:
    binary = script('echo "$@"')
    with (
        pytest.raises(WorkerError) as caught,
        TFFWorker(tmp_path / "worker.log", binary=binary, max_concurrent_computation_calls=3) as worker,
    ):
        worker.wait_ready(READY_SECONDS)
    assert f"--port={worker.port} --max_concurrent_computation_calls=3" in caught.value.message


def test_a_long_temporary_directory_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with TFFWorker(tmp_path / "worker.log") as worker:
        worker.wait_ready(READY_SECONDS)
        assert socket_path(worker).exists()
