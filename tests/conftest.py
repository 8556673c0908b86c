"""What tests of several packages share: the data beside the project, and the real command line."""

import csv
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fedcli.runtime.tensorflow_settings import set_up_tensorflow

set_up_tensorflow()

# A shell starts background jobs with Ctrl-C ignored, and their children inherit it: then none could be interrupted.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# nohup ignores SIGHUP, which then asks for nothing: tests of it need it as it is by default.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Compiled rounds and data go to a cache in the home folder: one of the tests' own, so that they leave nothing behind
# and find nothing. It is the same for all of pytest-xdist's workers, which inherit it: a config is compiled once.
# What other programs keep there is still theirs.
for _variable, _folder in (("UV_CACHE_DIR", "~/.cache/uv"), ("MPLCONFIGDIR", "~/.config/matplotlib")):
    os.environ.setdefault(_variable, str(Path(_folder).expanduser()))
if "PYTEST_XDIST_WORKER" not in os.environ:
    _home = tempfile.TemporaryDirectory(prefix="fedcli-tests-")
    os.environ["HOME"] = _home.name

#: The folder beside the project with the mirror of the public data; not on every machine.
SHARED = Path(__file__).parents[1].parent / "shared"


def shared(name):
    """Returns a file or folder of the shared data, or skips the test where it is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the shared data, ../shared/{name}, is not on this machine")
    return path


@pytest.fixture(scope="session", autouse=True)
def files_need_not_outlive_a_power_cut():
    """Leaves out in this process the waiting for the disk, some 20 times in a run of one round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def clean_environment(**changes):
    """Returns this process's environment without what changes fedcli's behaviour."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FEDCLI_", "HYDRA_", "_FEDCLI"))}
    return {**kept, **changes}


def table(path):
    """Returns a CSV file's rows, each a dictionary of texts."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def metrics(run):
    """Returns the rows of a run's metrics.csv without the time that they took, which differs from run to run."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table(run / "metrics.csv")]


@pytest.fixture(scope="session")
def run_cli(tmp_path_factory):
    """Runs the real command line in a process of its own, by default in an empty folder.

    `run_cli("train", "rounds=1", env={"FEDCLI_CACHE": ...}, cwd=folder)` returns the CompletedProcess, its stdout
    and stderr as text.
    """

    def run(*args, env=None, cwd=None, timeout=300):
        return subprocess.run(
            [sys.executable, "-m", "fedcli", *map(str, args)],
            env=clean_environment(**{"PYTHONPATH": str(Path(__file__).parents[1]), **(env or {})}),
            cwd=cwd or tmp_path_factory.mktemp("cwd"),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Runs the command line in this process, so that TensorFlow is imported once, in an empty folder.

    The result has exit_code, stdout and stderr.
    """
    from typer.testing import CliRunner

    from fedcli.cli.main import app

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("FEDCLI_"):
            monkeypatch.delenv(name)

    def run(*arguments):
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return run


@pytest.fixture
def train(invoke, request):
    """Runs `fedcli train` in this process with the settings that the test's module names `TINY`.

    Returns the run's folder, or what was printed if the run is to fail with an exit code.
    """

    def run(*arguments, code=0):
        result = invoke("train", *request.module.TINY, *arguments)
        assert result.exit_code == code, result.stderr
        return Path(result.stderr.split("run:")[1].split()[0]) if code == 0 else result

    return run
