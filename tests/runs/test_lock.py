import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedcli.errors import RunDirectoryError
from fedcli.runs.lock import RunLock

HOLD = """
import pathlib, sys
from fedcli.runs.lock import RunLock
with RunLock(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    input()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "locked\n"
    return child


def test_lock_is_given_back_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for _ in range(2):
        with RunLock(path):
            assert path.read_text().split()[0] == str(os.getpid())
        assert list(tmp_path.iterdir()) == []


def test_second_holder_in_this_process_is_refused(tmp_path: Path) -> None:
    with RunLock(tmp_path / ".lock") as lock:
        with pytest.raises(RunDirectoryError, match=f"being written by process {os.getpid()}$"):
            RunLock(tmp_path / ".lock").acquire()
        with pytest.raises(RuntimeError, match="already held"):
            lock.acquire()
        lock.release()
        lock.release()
        RunLock(tmp_path / ".lock").acquire()


def test_lock_of_another_process_names_it_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with hold(path) as child:
        with pytest.raises(RunDirectoryError, match=f"{tmp_path} is being written by process {child.pid}"):
            RunLock(path).acquire()
        child.kill()
        child.wait()
        assert path.exists()  # nobody could remove it
        with RunLock(path):
            assert path.read_text().split()[0] == str(os.getpid())


def test_holder_that_has_not_written_its_name_yet(tmp_path: Path) -> None:
    with open(tmp_path / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunDirectoryError, match="another process"):
            RunLock(tmp_path / ".lock").acquire()
        file.write("7 elsewhere\n")
        file.flush()
        with pytest.raises(RunDirectoryError, match="process 7 on elsewhere"):
            RunLock(tmp_path / ".lock").acquire()


def test_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / ".lock")
    lock.acquire()
    read, write = os.pipe()
    forked, ready = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child outlives the lock's holder, as a worker of a killed run may
        os.write(ready, b".")
        os.read(read, 1)
        os._exit(0)
    try:
        os.read(forked, 1)
        assert lock._descriptor is not None
        os.close(lock._descriptor)  # as the kernel does for a killed process
        lock._descriptor = None
        with RunLock(tmp_path / ".lock"):
            pass
    finally:
        os.write(write, b".")
        os.waitpid(pid, 0)
        for end in (read, write, forked, ready):
            os.close(end)


def test_a_lock_file_removed_meanwhile_is_locked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".lock"
    flock = fcntl.flock
    calls: list[int] = []

    def remove_first(descriptor: int, operation: int) -> None:
        if not calls:  # its holder removes it between our opening and locking it
            path.unlink()
        calls.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with RunLock(path):
        assert len(calls) == 2
        assert path.exists()


def test_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with RunLock(tmp_path / ".lock"):
        assert "has no locks" in caplog.text


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"cannot write .*\.lock"):
        RunLock(tmp_path / "gone" / ".lock").acquire()
