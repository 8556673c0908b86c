"""`fedcli train runtime=ray`, in processes of their own: what it says, how it ends and what it leaves behind."""

import importlib.util
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.test_endings import start, until  # noqa: F401 (a fixture)
from tests.cli.test_train import TINY, metrics, record
from tests.conftest import clean_environment
from tests.runtime.ray_cluster import running
from tests.runtime.strangers import listening

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")

LOCAL = ["runtime=ray", "runtime.address=local", "runtime.group_size=2", "aggregator=compression"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, run_cli):
    """What `runtime=local` gives for so many rounds."""

    def run(rounds):
        folder = tmp_path_factory.mktemp("unbroken")
        arguments = ["runtime.group_size=2", "aggregator=compression", f"rounds={rounds}"]
        assert run_cli("train", *TINY, *arguments, cwd=folder).returncode == 0
        (found,) = folder.glob("outputs/*/*")
        return metrics(found)

    return run


@pytest.fixture
def temporary(monkeypatch):
    """The folder for temporary files of what is started. Its path is short, since Ray's sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="ft-", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def assert_nothing_is_left(process, temporary):
    until(lambda: not process.left_behind())
    assert not list(temporary.iterdir())


def test_a_local_ray_is_one_word_and_leaves_nothing(tmp_path, temporary, start, unbroken):  # noqa: F811
    process = start("rounds=3", *LOCAL)
    process.wait_for_rows(2)
    addresses = listening(process.mark)
    code, stdout, stderr = process.wait()
    assert code == 0, stderr
    assert addresses
    assert {address for address, _ in addresses} == {"127.0.0.1"}
    (run,) = tmp_path.glob("outputs/*/*")
    assert metrics(run) == unbroken(3)
    assert record(run)["runtime_losses"] == 0
    assert stdout == ""
    assert re.sub(r"(?m)^(round \d|done: |run: |curves: |hold on|importing|compiling).*\n?", "", stderr).strip() == ""
    assert_nothing_is_left(process, temporary)


def test_fedcli_killed_leaves_nothing_and_resumes(temporary, start, invoke, unbroken):  # noqa: F811
    process = start("rounds=100000", "checkpoint.every=2", *LOCAL)
    run = process.wait_for_rows(4)
    process.process.kill()
    process.wait()
    assert_nothing_is_left(process, temporary)
    last = int(metrics(run)[-1]["round"])
    # Where the run goes on is its own affair: the numbers are the same.
    assert invoke("train", "--resume", str(run), "runtime=local", f"rounds={last + 1}").exit_code == 0
    assert metrics(run) == unbroken(last + 1)


def test_a_signal_ends_after_the_round(temporary, start):  # noqa: F811
    process = start("rounds=100000", *LOCAL)
    run = process.wait_for_rows(2)
    # As a scheduler does it: to all processes of the job.
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if process.mark.encode() in (folder / "environ").read_bytes():
                os.kill(int(folder.name), signal.SIGTERM)
        except OSError:
            continue
    code, _, stderr = process.wait()
    assert code == 130, stderr
    assert "stopped by SIGTERM" in stderr
    assert "--resume" in stderr
    assert record(run)["status"] == "interrupted"
    assert_nothing_is_left(process, temporary)


def test_with_nobody_left_the_run_can_be_resumed(monkeypatch, start, invoke, unbroken):  # noqa: F811
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    with running(1) as cluster:
        process = start("rounds=100000", *LOCAL, f"runtime.address={cluster.address}", "runtime.start_timeout=30")
        run = process.wait_for_rows(3)
        cluster.kill(0)
        code, _, stderr = process.wait()
    assert code == 1
    assert "no Ray worker is left" in stderr
    assert "Traceback" not in stderr
    last = int(metrics(run)[-1]["round"])
    assert (run / "checkpoints" / f"round_{last:06d}.npz").exists()
    assert record(run)["runtime_losses"] >= 1
    command = re.search(r"fedcli (train --resume \S+)", stderr)[1].split()
    result = invoke(*command, "runtime=local", f"rounds={last + 1}")
    assert result.exit_code == 0, result.stderr
    assert metrics(run) == unbroken(last + 1)


def test_random_kills_change_nothing():
    """The short form of benchmarks/faults.py: a node is killed, then fedcli."""
    script = Path(__file__).parents[2] / "benchmarks" / "faults.py"
    done = subprocess.run(
        [sys.executable, script, "--times", "1"], env=clean_environment(), capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs as they must be" in done.stdout
