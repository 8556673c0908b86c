"""Every way out of `fedcli train`: interrupted, killed, piped. In processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.cli.test_train import TINY, record
from tests.conftest import metrics

DEADLINE = 120


class Process:
    """A fedcli process, and what it leaves behind: all that inherits a mark in its environment."""

    def __init__(self, folder, *arguments, shell=None):
        self.folder = folder
        self.mark = uuid.uuid4().hex
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FEDCLI_")} | {"FEDCLI_MARK": self.mark}
        command = [sys.executable, "-m", "fedcli", "train", *TINY, *arguments]
        if shell:
            command = ["bash", "-c", f"set -o pipefail; {' '.join(map(repr, command))} {shell}"]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def wait_for_rows(self, count):
        """Waits until metrics.csv has so many rows; returns the run's folder."""
        return until(lambda: next((r for r in self.folder.glob("outputs/*/*") if rows(r) >= count), None), self.process)

    def wait(self):
        stdout, stderr = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, stdout, stderr

    def left_behind(self):
        """Lists living processes that carry the mark."""
        return living_with(self.mark)


def living_with(mark):
    """Lists living processes that have the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def rows(run):
    file = run / "metrics.csv"
    return max(0, file.read_text().count("\n") - 1) if file.exists() else 0


def until(condition, process=None):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := condition():
            return value
        if process is not None and process.poll() is not None:
            pytest.fail(f"the process ended: {process.stderr.read()}")
        time.sleep(0.02)  # between two looks, not for luck: the condition decides
    pytest.fail("not within the deadline")


@pytest.fixture
def start(tmp_path):
    """Starts a `fedcli train` in tmp_path; what of it still runs after the test is ended."""
    started = []

    def run(*arguments, shell=None):
        started.append(Process(tmp_path, *arguments, shell=shell))
        return started[-1]

    yield run
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
        process.process.wait()
        process.process.stdout.close()
        process.process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_after_the_round_and_the_run_can_go_on(tmp_path, invoke, start, number):
    process = start("rounds=100000", "aggregator=compression")
    process.wait_for_rows(3)
    process.process.send_signal(number)
    code, stdout, stderr = process.wait()
    assert code == 130
    assert stdout == ""
    (run,) = tmp_path.glob("outputs/*/*")
    last = int(metrics(run)[-1]["round"])
    assert f"after round {last}" in stderr
    assert record(run)["status"] == "interrupted"
    assert (run / "checkpoints" / f"round_{last:06d}.npz").exists()
    # The command that it prints, with an end in sight.
    resume = re.search(r"fedcli train --resume (\S+)", stderr)[1]
    result = invoke("train", "--resume", resume, f"rounds={last + 2}")
    assert result.exit_code == 0, result.stderr
    unbroken = invoke("train", *TINY, "aggregator=compression", f"rounds={last + 2}", "output_dir=unbroken")
    assert unbroken.exit_code == 0
    (other,) = tmp_path.glob("unbroken/*/*")
    assert metrics(run) == metrics(other)
    assert not process.left_behind()


def test_a_second_signal_ends_at_once(tmp_path, start):
    # A round of hours.
    process = start("rounds=1", "dataset.client_epochs=1000000", "model.hidden_units=[500]")
    process.wait_for_rows(1)
    process.process.send_signal(signal.SIGINT)
    while "stopping after this round" not in process.process.stderr.readline():
        assert process.process.poll() is None
    process.process.send_signal(signal.SIGINT)
    code, _, stderr = process.wait()
    assert code == 130
    assert "--resume" in stderr
    (run,) = tmp_path.glob("outputs/*/*")
    assert record(run)["status"] == "interrupted"
    assert not process.left_behind()


def test_a_killed_run_resumes_to_the_same_result(tmp_path, invoke, start):
    arguments = ["rounds=40", "aggregator=compression", "checkpoint.every=4", "model.hidden_units=[40]"]
    process = start(*arguments)
    run = process.wait_for_rows(7)
    process.process.kill()
    process.wait()
    assert record(run)["status"] == "running"
    assert rows(run) < 41
    result = invoke("train", "--resume", "auto", *TINY, *arguments)
    assert result.exit_code == 0, result.stderr
    assert record(run)["status"] == "completed"
    assert record(run)["resumed"][0] % 4 == 0
    assert invoke("train", *TINY, *arguments, "output_dir=unbroken").exit_code == 0
    (other,) = tmp_path.glob("unbroken/*/*")
    assert metrics(run) == metrics(other)


def test_a_run_that_is_being_written_is_not_resumed(invoke, start):
    process = start("rounds=100000")
    run = process.wait_for_rows(1)
    result = invoke("train", "--resume", str(run), "-q", "--debug")
    process.process.kill()
    process.wait()
    assert result.exit_code == 1
    assert str(process.process.pid) in result.stderr


@pytest.mark.parametrize("runtime", ["local", "tff"])
def test_a_pipe_ends_and_nothing_is_left(start, runtime):
    process = start("rounds=3", f"runtime={runtime}", shell="2>&1 | tail -n 3")
    code, stdout, _ = process.wait()
    assert code == 0
    assert "done: 3 rounds" in stdout
    assert not process.left_behind()


def test_a_killed_worker_runtime_leaves_nothing(start):
    process = start("rounds=100000", "runtime=tff")
    process.wait_for_rows(2)
    assert any("worker_binary" in command for command in process.left_behind())
    process.process.kill()
    process.wait()
    until(lambda: not process.left_behind())


def test_a_worker_that_dies_is_an_error(start):
    process = start("rounds=100000", "runtime=tff")
    run = process.wait_for_rows(2)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if process.mark.encode() in (folder / "environ").read_bytes() and (folder / "cmdline").read_bytes().split(
                b"\0"
            )[0].endswith(b"worker_binary"):
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:
            continue
    code, _, stderr = process.wait()
    assert code == 1
    assert "error:" in stderr
    assert "Traceback" not in stderr
    assert json.loads((run / "run.json").read_text())["error"]["type"] == "WorkerError"
    assert not process.left_behind()
