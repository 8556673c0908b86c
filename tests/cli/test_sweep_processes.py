"""Sweeps whose jobs have processes of their own, and every way in which these end."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.cli.test_endings import DEADLINE, living_with, rows, until
from tests.cli.test_sweep import STIFF, jobs
from tests.cli.test_train import TINY, record
from tests.conftest import metrics

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


class Sweep:
    """A `fedcli train -m` in the folder `sweep`, in a session of its own, as a terminal would start it."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.log = open(folder / f"{self.mark}.log", "w+")  # noqa: SIM115 (closed by `end`)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fedcli", "train", "-m", *TINY, "hydra.sweep.dir=sweep", *arguments],
            cwd=folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("FEDCLI_")} | {"FEDCLI_MARK": self.mark},
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            start_new_session=True,
        )

    def wait_for_rows(self, count, *numbers):
        """Waits until the metrics.csv of the jobs have so many rows."""

        def there():
            assert self.process.poll() is None, self.stderr()
            return all(rows(self.folder / "sweep" / str(number)) >= count for number in numbers)

        until(there)

    def stderr(self):
        self.log.seek(0)
        return self.log.read()

    def wait(self):
        self.process.wait(DEADLINE)
        return self.process.returncode, self.stderr()

    def left_behind(self):
        return living_with(self.mark)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def run(*arguments):
        started.append(Sweep(tmp_path, *arguments))
        return started[-1]

    yield run
    for sweep in started:
        sweep.end()


def send(run, number):
    os.kill(record(run)["process"]["pid"], number)


def test_a_sweep_with_a_bad_and_a_killed_job_resumes_to_the_result_of_an_unbroken_one(tmp_path, invoke, start):
    arguments = ["rounds=40", "checkpoint.every=2", "aggregator=compression", "seed=1,2,3,4"]
    sweep = tmp_path / "sweep"
    process = start(*arguments, *JOBLIB)
    # Job 0 cannot save its state: while it is held, a file comes to where its checkpoints belong.
    until(lambda: (sweep / "0" / "run.json").exists())
    send(sweep / "0", signal.SIGSTOP)
    obstacle = sweep / "0" / "checkpoints"
    shutil.rmtree(obstacle, ignore_errors=True)
    obstacle.write_text("")
    send(sweep / "0", signal.SIGCONT)
    process.wait_for_rows(5, 1)
    # Held, so that it is not through before job 0 has failed, whichever worker began first.
    send(sweep / "1", signal.SIGSTOP)
    until(lambda: (sweep / "0" / "run.json").exists() and record(sweep / "0")["status"] == "failed")
    send(sweep / "1", signal.SIGKILL)
    code, stderr = process.wait()
    assert code == 1
    assert "Traceback" not in stderr
    assert "failed:  job 1 in sweep/0 (seed=1): " in stderr
    assert "killed:  job 2 in sweep/1 (seed=2): " in stderr
    assert "try: go on with: fedcli train -m --resume sweep" in stderr
    statuses = [row["status"] for row in jobs(sweep)]
    assert statuses[:2] == ["failed", "killed"]
    # joblib ends all its workers when one dies; the jobs that had not begun are begun nevertheless.
    assert set(statuses[2:]) <= {"completed", "killed"}
    assert statuses.count("completed") >= 1
    assert record(sweep / "1")["status"] == "running"
    until(lambda: not process.left_behind())

    obstacle.unlink()
    resumed = start(*arguments, *JOBLIB, "--resume")
    code, stderr = resumed.wait()
    assert code == 0, stderr
    assert [row["status"] for row in jobs(sweep)] == ["completed"] * 4
    assert record(sweep / "1")["resumed"][0] >= 2
    until(lambda: not resumed.left_behind())

    # One after another, with another number of threads.
    assert invoke("train", "-m", *TINY, *arguments, "hydra.sweep.dir=unbroken").exit_code == 0
    for number in range(4):
        assert metrics(Path("sweep", str(number))) == metrics(Path("unbroken", str(number)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_jobs_after_their_rounds(tmp_path, start, number):
    process = start("rounds=100000", "seed=1,2,3", *JOBLIB)
    process.wait_for_rows(2, 0, 1)
    if number == signal.SIGINT:
        os.killpg(process.process.pid, number)  # as Ctrl-C in a terminal
    else:
        process.process.send_signal(number)  # as a scheduler
    code, stderr = process.wait()
    assert code == 130, stderr
    assert "2 interrupted, 1 not run" in stderr
    assert "Traceback" not in stderr
    for job in ("0", "1"):
        run = tmp_path / "sweep" / job
        assert record(run)["status"] == "interrupted"
        last = int(metrics(run)[-1]["round"])
        assert (run / "checkpoints" / f"round_{last:06d}.npz").exists()
    until(lambda: not process.left_behind())


def test_a_second_signal_ends_the_jobs_at_once(tmp_path, start):
    # Rounds of hours.
    process = start("rounds=1", "dataset.client_epochs=1000000", "seed=1,2", "model.hidden_units=[500]", *JOBLIB)
    process.wait_for_rows(1, 0, 1)
    process.process.send_signal(signal.SIGINT)
    until(lambda: "once more to stop at once" in process.stderr())
    process.process.send_signal(signal.SIGINT)
    code, stderr = process.wait()
    assert code == 130
    assert "Traceback" not in stderr
    until(lambda: not process.left_behind())
    # Killed: none had the time to say how it ended.
    assert [record(tmp_path / "sweep" / job)["status"] for job in ("0", "1")] == ["running"] * 2


def test_jobs_do_not_outlive_the_sweep(tmp_path, start):
    process = start("rounds=100000", "seed=1,2", *JOBLIB)
    process.wait_for_rows(2, 0, 1)
    process.process.kill()
    process.wait()
    until(lambda: not process.left_behind())
    assert {record(tmp_path / "sweep" / job)["status"] for job in ("0", "1")} <= {"interrupted", "running"}


def test_a_signal_ends_jobs_that_run_one_after_another(tmp_path, start):
    process = start("rounds=100000", "seed=1,2")
    process.wait_for_rows(2, 0)
    process.process.send_signal(signal.SIGINT)
    code, stderr = process.wait()
    assert code == 130
    assert "interrupted: job 1 in sweep/0 (seed=1): stopped by SIGINT after round" in stderr
    assert "not run: job 2 in sweep/1 (seed=2)" in stderr
    assert "1 interrupted, 1 not run" in stderr


def test_fail_fast_reaches_jobs_of_other_processes(tmp_path, start):
    rate = "client_optimizer.learning_rate"
    process = start("rounds=1", f"{rate}=1e6,0.02,0.01,0.005,0.004,0.003", *STIFF, "--fail-fast", *JOBLIB)
    code, stderr = process.wait()
    assert code == 1
    statuses = [row["status"] for row in jobs(tmp_path / "sweep")]
    assert statuses[0] == "failed"
    # The one that ran beside it was let end.
    assert statuses[1] == "completed"
    assert "not run" in statuses
    assert f"{statuses.count('not run')} not run" in stderr


def test_optuna_searches_for_the_objective(tmp_path, start):
    rate = "client_optimizer.learning_rate"
    process = start(
        "rounds=1", f"{rate}=interval(0.01,0.5)", "objective=train/loss", "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1", "hydra.sweeper.direction=minimize",
    )  # fmt: skip
    code, stderr = process.wait()
    assert code == 0, stderr
    found = jobs(tmp_path / "sweep")
    assert len(found) == 3
    best = min(found, key=lambda row: float(row["train/loss"]))
    assert f"best:    {rate}={best[rate]}: {float(best['train/loss']):.6g}\n" in stderr


def test_submitit_runs_the_jobs(tmp_path, start):
    process = start("rounds=1", "seed=1,2", "hydra/launcher=submitit_local")
    code, stderr = process.wait()
    assert code == 0, stderr
    assert [row["status"] for row in jobs(tmp_path / "sweep")] == ["completed"] * 2
    until(lambda: not process.left_behind())
