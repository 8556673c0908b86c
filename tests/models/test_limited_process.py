"""Work in a child process with limits; the work here is what a damaged file makes of a library."""

import os
import resource
import signal
import threading

import pytest

from fedcli.models.limited_process import LimitError, Limits, run_limited

LIMITS = Limits(cpu_seconds=5, seconds=60, memory=2**28, output=2**20)


def limits(**changes):
    return Limits(**{**vars(LIMITS), **changes})


def endless():
    # As C code does, which comes to no point where Python handles signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    while True:
        pass


def test_what_the_work_yields_is_returned():
    large = os.urandom(2**19)
    assert run_limited(lambda: [b"a", b"", large], LIMITS) == b"a" + large
    assert run_limited(lambda: [], LIMITS) == b""


def test_the_work_changes_nothing_here():
    found = []
    run_limited(lambda: found.append(1) or [], LIMITS)
    assert found == []
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY


def test_work_that_never_ends_is_ended():
    with pytest.raises(LimitError, match="more than 1 s of processor time"):
        run_limited(endless, limits(cpu_seconds=1))


def test_work_that_waits_is_ended():
    reader, writer = os.pipe()
    with pytest.raises(LimitError, match=r"did not end within 0.2 s"):
        run_limited(lambda: [os.read(reader, 1)], limits(seconds=0.2))
    os.close(reader)
    os.close(writer)


def test_work_that_takes_too_much_memory_is_ended():
    with pytest.raises(LimitError, match="more memory"):
        run_limited(lambda: [bytes(2**29)], LIMITS)


def test_work_that_gives_too_much_is_ended():
    def too_much():
        while True:
            yield bytes(2**16)

    with pytest.raises(LimitError, match="more than the file can hold"):
        run_limited(too_much, LIMITS)


def test_work_that_crashes():
    with pytest.raises(LimitError, match=r"crashes \(SIGSEGV\)"):
        run_limited(lambda: os.kill(os.getpid(), signal.SIGSEGV) or [], LIMITS)


def test_work_that_fails_after_it_gave_something():
    def fails():
        yield b"half"
        raise ValueError

    with pytest.raises(LimitError):
        run_limited(fails, LIMITS)


def test_ctrl_c_ends_the_work(monkeypatch):
    """The child process would be left behind, since it blocks the signal."""
    children = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: children.append(fork()) or children[-1])

    def pressed(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, pressed)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_limited(endless, limits(cpu_seconds=60))
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)
