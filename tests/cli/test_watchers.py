"""Who watches never decides over a run: readers that go, full disks, closed descriptors, terminals that vanish.

In processes of their own, with real pipes and pseudo-terminals.
"""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from fedcli.cli.progress import RunProgress
from tests.cli.test_endings import DEADLINE, living_with, rows, until
from tests.cli.test_train import TINY, record
from tests.conftest import clean_environment, metrics

FEDCLI = [sys.executable, "-m", "fedcli"]
# Lines that everybody would see, and rounds that a failure would lose.
WATCHED = [*TINY, "eval.every=1", "checkpoint.every=1000"]


def log(run):
    return (run / "run.log").read_text()


@pytest.fixture
def start(tmp_path):
    """Starts fedcli in tmp_path; what still runs after the test is ended."""
    started = []

    def run(*arguments, **options):
        process = subprocess.Popen(
            [*FEDCLI, *arguments], cwd=tmp_path, env=clean_environment(FEDCLI_MARK=str(tmp_path)), **options
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def the_run(folder):
    (run,) = folder.glob("outputs/*/*")
    return run


def test_a_reader_that_goes_does_not_end_the_run(tmp_path, start):
    process = start("train", *WATCHED, "rounds=100", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert b"round 0/100" in process.stdout.readline()
    process.stdout.close()  # as `2>&1 | head -1` does
    assert process.wait(DEADLINE) == 0
    run = the_run(tmp_path)
    assert record(run)["status"] == "completed"
    assert rows(run) == 101
    assert "stderr cannot be written (Broken pipe); the run goes on" in log(run)
    assert "Traceback" not in log(run)


def in_terminal(start, *arguments, ignore_hangup=False):
    """Starts fedcli as a terminal's session leader; returns the process and the terminal's other side."""
    master, slave = pty.openpty()

    def prepare():
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore_hangup else signal.SIG_DFL)

    process = start(*arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=prepare)
    os.close(slave)
    return process, master


def read_until(master, pattern):
    """Reads what the terminal shows, some of its rounds only, until it matches."""
    seen = b""
    # Numbers have colors.
    while not re.search(pattern, re.sub(rb"\x1b\[[\d;?]*[a-zA-Z]", b"", seen)):
        seen += os.read(master, 4096)


@pytest.mark.parametrize("runtime", ["local", "tff"])
def test_a_terminal_that_vanishes_ends_the_run_after_its_round(tmp_path, start, runtime):
    process, master = in_terminal(start, "train", *WATCHED, "rounds=100000", f"runtime={runtime}")
    read_until(master, rb"round [1-9]\d*/100000")
    os.close(master)
    assert process.wait(DEADLINE) == 130
    run = the_run(tmp_path)
    assert record(run)["status"] == "interrupted"
    last = int(metrics(run)[-1]["round"])
    assert (run / "checkpoints" / f"round_{last:06d}.npz").exists()
    assert "stderr cannot be written (Input/output error)" in log(run)
    until(lambda: not living_with(str(tmp_path)))


def test_with_nohup_the_run_goes_on_without_its_terminal(tmp_path, start):
    process, master = in_terminal(start, "train", *WATCHED, "rounds=5", ignore_hangup=True)
    read_until(master, rb"importing TensorFlow")  # before the first round, so that every round is told to nobody
    os.close(master)
    assert process.wait(DEADLINE) == 0
    run = the_run(tmp_path)
    assert record(run)["status"] == "completed"
    assert rows(run) == 6
    assert "stderr cannot be written (Input/output error); the run goes on" in log(run)


def test_a_sweep_whose_terminal_vanishes_saves_its_jobs(tmp_path, start):
    process, master = in_terminal(
        start, "train", "-m", *WATCHED, "rounds=100000", "seed=1,2", "hydra.sweep.dir=sweep",
        "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
    )  # fmt: skip
    jobs = [tmp_path / "sweep" / "0", tmp_path / "sweep" / "1"]
    os.set_blocking(master, False)

    def both_train():
        with suppress(BlockingIOError):
            os.read(master, 65536)
        return all(rows(job) >= 3 for job in jobs)

    until(both_train)
    os.close(master)
    assert process.wait(DEADLINE) == 130
    for job in jobs:
        assert record(job)["status"] == "interrupted"
        assert (job / "checkpoints" / f"round_{int(metrics(job)[-1]['round']):06d}.npz").exists()
    until(lambda: not living_with(str(tmp_path)))


def test_a_full_stderr_does_not_end_the_run(tmp_path, start):
    with open("/dev/full", "wb") as full:
        process = start("train", *WATCHED, "rounds=2", stdout=subprocess.PIPE, stderr=full)
        assert process.communicate(timeout=DEADLINE)[0] == b""
    assert process.returncode == 0
    assert record(the_run(tmp_path))["status"] == "completed"
    assert "stderr cannot be written (No space left on device); the run goes on" in log(the_run(tmp_path))


def test_closed_descriptors_do_not_end_the_run_or_get_into_its_files(tmp_path, start):
    def close_all():
        os.closerange(0, 3)

    process = start("train", *WATCHED, "rounds=2", preexec_fn=close_all)
    assert process.wait(DEADLINE) == 0
    run = the_run(tmp_path)
    assert record(run)["status"] == "completed"
    assert [row["round"] for row in metrics(run)] == ["0", "1", "2"]
    assert "stderr cannot be written (it is closed); the run goes on" in log(run)


def test_a_document_that_cannot_be_written_leaves_a_completed_run(tmp_path, start):
    with open("/dev/full", "wb") as full:
        process = start("train", "--json", *TINY, "rounds=1", stdout=full, stderr=subprocess.PIPE, text=True)
        stderr = process.communicate(timeout=DEADLINE)[1]
    assert process.returncode == 1
    *_, error, hint = stderr.splitlines()
    assert error == "error: cannot write to stdout: No space left on device"
    assert hint.startswith("  try: the run is completed, its result is in ")
    assert json.loads((tmp_path / hint.rpartition(" ")[2]).read_text())["rounds"] == 1
    assert "Traceback" not in stderr
    assert record(the_run(tmp_path))["status"] == "completed"


COMMANDS = {
    "help": ["--help"],
    "help of a command": ["train", "--help"],
    "no command": [],
    "version": ["--version"],
    "completion": ["--show-completion", "bash"],
    "config": ["train", "--cfg", "job"],
    "data list": ["data", "list"],
    "data list --json": ["data", "list", "--json"],
    "inspect": ["data", "inspect", "digits"],
    "compare": ["compare", "outputs"],
    "compare --csv": ["compare", "outputs", "--csv"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run to compare."""
    from tests.report.synthetic import write_run

    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "outputs" / "a")
    return folder


def run_with_stdout(folder, arguments, stdout, **options):
    return subprocess.run(
        [*FEDCLI, *arguments],
        cwd=folder,
        env=clean_environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
        **options,
    )


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS.keys())
def test_results_that_cannot_be_written_are_an_error_in_two_lines(runs, arguments):
    with open("/dev/full", "wb") as full:
        done = run_with_stdout(runs, arguments, full)
    assert done.stderr.splitlines()[-2:] == [
        "error: cannot write to stdout: No space left on device",
        "  try: send it to a file, a pipe or a terminal that can be written",
    ]
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["version", "compare", "data list --json"])
def test_a_closed_stdout_is_an_error_in_two_lines(runs, name):
    done = run_with_stdout(runs, COMMANDS[name], None, preexec_fn=lambda: os.close(1))
    assert done.stderr.splitlines()[-2] == "error: cannot write to stdout: it is closed"
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["help", "compare", "compare --csv", "data list --json"])
def test_a_reader_of_results_that_goes_is_no_error(runs, name):
    read, write = os.pipe()
    os.close(read)
    done = run_with_stdout(runs, COMMANDS[name], write)
    os.close(write)
    assert (done.returncode, "Traceback" in done.stderr, "error" in done.stderr) == (0, False, False)


def test_an_error_of_a_command_line_is_shown_when_its_document_cannot_be(runs):
    with open("/dev/full", "wb") as full:
        done = run_with_stdout(runs, ["train", "--json", "rounds=-1"], full)
    assert done.returncode == 2
    hint = "  try: set it with rounds=VALUE; --cfg job shows the whole config\n"
    assert done.stderr == f"error: rounds=-1: must be from 0 to 1000000000\n{hint}"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_characters_that_a_terminal_lacks_have_others_in_their_place(run_cli, encoding):
    done = run_cli("data", "inspect", "digits", env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert re.search(r"^writer_00 +[.:+%@]", done.stdout, re.MULTILINE)
    assert "\\u" not in done.stdout
    assert "@ up to 100 %" in done.stdout


def test_compare_draws_no_curves_with_characters_that_a_terminal_lacks(run_cli, runs):
    done = run_cli("compare", "outputs", "--plot", cwd=runs, env={"PYTHONIOENCODING": "latin-1:strict"})
    assert done.returncode == 0, done.stderr
    assert "no curves" in done.stdout
    assert "\\u28" not in done.stdout


# Ctrl-C: how far the process is, by the modules that it has imported.


def interrupted_after(folder, count, *arguments):
    """Sends SIGINT once so many modules are imported after fedcli's first; returns exit code, stdout and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "fedcli", *arguments],
        cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        stderr = [iter(process.stderr.readline, "")]
        lines = []
        for line in stderr[0]:
            lines.append(line)
            if line.rstrip().endswith(" fedcli.cli.process"):
                break
        for line in stderr[0]:
            lines.append(line)
            count -= 1
            if count <= 0:
                break
        process.send_signal(signal.SIGINT)
        lines += process.stderr.readlines()
        stdout = process.stdout.read()
        code = process.wait(DEADLINE)
    return code, stdout, [line for line in lines if not line.startswith("import time:")]


@pytest.mark.parametrize("count", [1, 20, 70, 140])
def test_ctrl_c_at_the_beginning_ends_in_two_lines(runs, count):
    code, stdout, lines = interrupted_after(runs, count, "train", *TINY, "rounds=1")
    assert (code, stdout) == (130, "")
    assert lines == ["error: interrupted before anything began\n", "  try: start the command again\n"]


def test_ctrl_c_at_the_beginning_gives_a_document(runs):
    code, stdout, lines = interrupted_after(runs, 20, "train", "--json", *TINY, "rounds=1")
    assert (code, lines) == (130, [])
    error = json.loads(stdout)["error"]
    assert (error["type"], error["exit_code"]) == ("Interrupted", 130)


def test_ctrl_c_between_the_arguments_and_the_command_gives_two_lines(runs):
    program = (
        "import os, signal, sys\n"
        "from fedcli.cli import train\n"
        "from fedcli.__main__ import main\n"
        "train.run_experiment = lambda arguments: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['fedcli', 'train']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=runs, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 130
    assert done.stderr == "error: stopped at once\n  try: start the command again\n"


# What is shown for copying.


def test_the_command_that_goes_on_can_be_pasted(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr(RunProgress, "row", lambda self, row: os.kill(os.getpid(), signal.SIGHUP))
    result = invoke("train", *TINY, "rounds=3", "output_dir='my runs'")
    assert result.exit_code == 130
    command = re.search(r"go on with: (.*)", result.stderr)[1]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "fedcli"
    (run,) = tmp_path.glob("my runs/*/*")
    assert arguments == ["train", "--resume", str(run.relative_to(tmp_path))]
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "run:    'my runs/" in result.stderr
    assert "--logdir 'my runs/" in result.stderr


def test_an_internal_error_names_the_log_that_there_is(invoke, tmp_path, monkeypatch):
    def fail(self, row):
        raise AssertionError("a mistake of ours")

    monkeypatch.setattr(RunProgress, "row", fail)
    result = invoke("train", *TINY, "rounds=1", "output_dir='my runs'")
    assert result.exit_code == 1
    name = re.search(r"the traceback is in '(.*)'; --debug", result.stderr)[1]
    assert "a mistake of ours" in (tmp_path / name).read_text()


def test_an_internal_error_without_a_run_names_no_log(invoke, monkeypatch):
    def fail(*arguments):
        raise AssertionError("a mistake of ours")

    monkeypatch.setattr("fedcli.datasets.inspect.list_datasets", fail)
    result = invoke("data", "list")
    assert result.exit_code == 1
    assert result.stderr == ("error: AssertionError: a mistake of ours\n  try: add --debug to see the traceback\n")
