"""Standard streams: whatever happens to who reads them, stderr never fails and stdout fails in words."""

import errno
import io
import logging
import os
import pty
import sys
import termios
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fedcli.cli import streams
from fedcli.cli.streams import ReaderGone, StandardStream, not_waiting_for_readers
from fedcli.errors import OutputError


@pytest.fixture
def pipe():
    """A pipe as (read, write); a test may close either end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def stderr_to(descriptor, encoding="utf-8"):
    return StandardStream(descriptor, encoding, "backslashreplace", carries_results=False)


def stdout_to(descriptor, encoding="utf-8", errors="strict"):
    return StandardStream(descriptor, encoding, errors, carries_results=True)


def closed_descriptor():
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    return write


def test_text_arrives(pipe):
    read, write = pipe
    print("äöü", 1, file=stderr_to(write))
    assert os.read(read, 100) == "äöü 1\n".encode()


def test_results_are_written_together(pipe):
    read, write = pipe
    os.set_blocking(read, False)
    stream = stdout_to(write)
    stream.write("a\n")
    with pytest.raises(BlockingIOError):
        os.read(read, 100)
    stream.write("b\n")
    stream.flush()
    assert os.read(read, 100) == b"a\nb\n"


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8"]), st.sampled_from(["strict", "replace"]))
def test_every_text_can_be_written_in_every_encoding(text, encoding, errors):
    file = os.memfd_create("stdout")
    try:
        stream = StandardStream(file, encoding, errors, carries_results=True)
        stream.write(text)
        stream.flush()
        written = os.pread(file, 1 << 20, 0)
    finally:
        os.close(file)
    try:
        assert written == text.encode(encoding, errors)
    except UnicodeEncodeError:
        assert written == text.encode(encoding, "backslashreplace")


def test_a_reader_of_stderr_that_goes_is_told_to_the_log_once(pipe, caplog):
    read, write = pipe
    stream = stderr_to(write)
    os.close(read)
    for _ in range(3):
        assert stream.write("round 1\n") == 8
    assert [record.message for record in caplog.records] == ["stderr cannot be written (Broken pipe); the run goes on"]
    assert not stream.isatty()


def test_a_full_disk_can_be_cleared(monkeypatch, caplog, pipe):
    read, write = pipe
    stream = stderr_to(write)

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        stream.write("a\n")
        stream.write("b\n")
    stream.write("c\n")
    assert os.read(read, 100) == b"c\n"
    assert len(caplog.records) == 1


def test_a_closed_stderr_takes_everything():
    stream = stderr_to(closed_descriptor())
    stream.write("a\n")
    assert "it is closed" in stream.problem


def test_a_terminal_that_vanishes_takes_everything(caplog):
    master, slave = pty.openpty()
    try:
        stream = stderr_to(slave)
        assert stream.isatty()
        os.close(master)
        stream.write("a\n")
        assert "Input/output error" in stream.problem
        assert not stream.isatty()
    finally:
        os.close(slave)


def test_a_terminal_that_vanishes_is_told_to_the_log_although_rich_writes_nothing_more(caplog):
    master, slave = pty.openpty()
    try:
        console = Console(file=stderr_to(slave))
        assert console.is_terminal
        os.close(master)
        assert not console.is_terminal
        assert [record.message for record in caplog.records] == [
            "stderr cannot be written (Input/output error); the run goes on"
        ]
    finally:
        os.close(slave)


def test_results_without_a_reader_end_the_command(pipe):
    read, write = pipe
    stream = stdout_to(write)
    os.close(read)
    stream.write("a")
    with pytest.raises(ReaderGone):
        stream.flush()
    stream.flush()  # nothing is left for the process's end to fail at
    stream.write("b")
    with pytest.raises(ReaderGone):
        stream.flush()


@pytest.mark.parametrize(
    ("opened", "reason"),
    [(lambda: os.open("/dev/full", os.O_WRONLY), "No space left"), (closed_descriptor, "it is closed")],
)
def test_results_that_cannot_be_written_are_an_error(opened, reason):
    descriptor = opened()
    stream = stdout_to(descriptor)
    with pytest.raises(OutputError, match=reason) as raised:
        print("x" * 100_000, file=stream)
    assert raised.value.hint
    stream.flush()
    with pytest.raises(OutputError, match=reason):
        print("y" * 100_000, file=stream)
    if reason != "it is closed":
        os.close(descriptor)


def test_a_pipe_that_somebody_else_made_non_blocking_gets_everything(pipe):
    read, write = pipe
    os.set_blocking(write, False)
    text = "x" * 300_000
    got = []

    def take():
        while sum(map(len, got)) < len(text):
            got.append(os.read(read, 8192))

    reader = threading.Thread(target=take)
    reader.start()
    stream = stdout_to(write)
    stream.write(text)
    stream.flush()
    reader.join()
    assert b"".join(got) == text.encode()


def fill(descriptor):
    """Writes as much as a pipe holds; returns how many bytes that is."""
    os.set_blocking(descriptor, False)
    size = 0
    try:
        while True:
            size += os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return size


def test_a_reader_that_does_not_read_is_not_waited_for(pipe, monkeypatch, caplog):
    read, write = pipe
    stream = stderr_to(write)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(streams, "_PATIENCE_SECONDS", 0.01)
    size = fill(write)
    with not_waiting_for_readers():
        for _ in range(5):
            stream.write("left out\n")
        while size:
            size -= len(os.read(read, size))
        stream.write("read again\n")
    assert os.read(read, 65536) == b"read again\n"
    assert stream.patience is None
    assert [record.message for record in caplog.records] == [
        "stderr is not read: lines are left out until it is; the run goes on"
    ]


def test_a_terminal_on_hold_is_not_waited_for(monkeypatch, caplog):
    master, slave = pty.openpty()
    try:
        termios.tcflow(slave, termios.TCOOFF)  # Ctrl-S
        stream = stderr_to(slave)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(streams, "_PATIENCE_SECONDS", 0.01)
        with not_waiting_for_readers():
            stream.write("left out\n")
            termios.tcflow(slave, termios.TCOON)
            stream.write("shown\n")
        assert os.read(master, 100) == b"shown\r\n"
    finally:
        os.close(master)
        os.close(slave)


def test_rich_writes_to_it(pipe):
    read, write = pipe
    stream = stderr_to(write, encoding="latin-1")
    os.close(read)
    console = Console(file=stream)
    console.print("░▒▓")
    assert stream.problem


def test_bytes_are_refused(pipe):
    with pytest.raises(TypeError):
        stderr_to(pipe[1]).write(b"a")


def test_streams_that_somebody_replaced_are_left_alone(monkeypatch):
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stdout", replaced)
    monkeypatch.setattr(sys, "stderr", replaced)
    streams.take_over_standard_streams()
    assert sys.stdout is replaced
    assert sys.stderr is replaced


def test_a_log_that_is_opened_later_is_told(monkeypatch, caplog):
    stream = stderr_to(closed_descriptor())
    stream.write("a")
    monkeypatch.setattr(sys, "stderr", stream)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        streams.log_problems()
    assert [record.message for record in caplog.records] == [stream.problem]
