"""`fedcli train -m`, in this process, so that TensorFlow is imported once."""

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.test_train import TINY, record
from tests.conftest import metrics

RATE = "client_optimizer.learning_rate"
#: With the largest rate, these steps overflow within a round; with 0.01 they do not.
STIFF = ["algorithm=fed_prox", "algorithm.mu=100"]


@pytest.fixture
def sweep(invoke):
    """Runs `fedcli train -m` with a tiny model in the folder `sweep`, and returns what it printed."""

    def run(*arguments, code=0, folder="sweep"):
        result = invoke("train", "-m", *TINY, f"hydra.sweep.dir={folder}", *arguments)
        assert result.exit_code == code, result.stderr
        return result

    return run


def jobs(folder="sweep"):
    with open(Path(folder, "sweep.csv"), newline="") as file:
        return list(csv.DictReader(file))


def test_each_job_has_its_folder_and_a_row(sweep):
    result = sweep("rounds=1", "seed=1,2", "aggregator=mean,compression")
    assert sorted(path.name for path in Path("sweep").iterdir() if path.is_dir()) == ["0", "1", "2", "3"]
    rows = jobs()
    assert [(row["job"], row["seed"], row["aggregator"], row["status"]) for row in rows] == [
        ("0", "1", "mean", "completed"),
        ("1", "1", "compression", "completed"),
        ("2", "2", "mean", "completed"),
        ("3", "2", "compression", "completed"),
    ]
    for row in rows:
        run = Path(row["run"])
        final = json.loads((run / "result.json").read_text())["final"]
        assert float(row["eval/accuracy"]) == final["eval/accuracy"]
        assert record(run)["seed"] == int(row["seed"])
        assert record(run)["overrides"] == [*TINY, "rounds=1", f"seed={row['seed']}", f"aggregator={row['aggregator']}"]
    assert len({record(Path(row["run"]))["id"] for row in rows}) == 4
    assert "job 2/4: seed=1 aggregator=compression\n" in result.stderr
    assert "job 2/4  round 1/1" in result.stderr
    for line in ("4 of 4 jobs", "fedcli compare sweep\n", "tensorboard --logdir sweep\n"):
        assert line in result.stderr


def test_bad_jobs_do_not_stop_the_others_and_are_named(sweep):
    # One that cannot begin, one that diverges.
    result = sweep("rounds=1", "clients_per_round=4,400", f"{RATE}=0.01,1e6", *STIFF, code=1)
    assert [row["status"] for row in jobs()] == ["completed", "failed", "failed", "failed"]
    assert re.search(
        r"failed: +job 2 in sweep/1 \(clients_per_round=4 \S+=(1e6|1000000\.0)\): .*diverged", result.stderr
    )
    assert re.search(
        r"failed: +job 3 in sweep/2 \(clients_per_round=400 \S+=0.01\): .*digits has 13 clients", result.stderr
    )
    error, hint = result.stderr.splitlines()[-2:]
    assert error == "error: 3 of the sweep's 4 jobs are not done: 3 failed"
    assert hint == "  try: go on with: fedcli train -m --resume sweep"
    unable = record(Path("sweep/2"))
    assert unable["status"] == "failed"
    assert unable["error"]["type"] == "ConfigError"
    assert {"clients_per_round=400", f"{RATE}=0.01"} <= set(unable["overrides"])
    assert jobs()[2]["error"] == unable["error"]["message"]


def test_fail_fast_begins_no_job_after_the_first_that_fails(sweep):
    result = sweep("rounds=1", "clients_per_round=4,400,3,2", "--fail-fast", code=1)
    assert [row["status"] for row in jobs()] == ["completed", "failed", "not run", "not run"]
    assert "1 failed, 2 not run" in result.stderr
    assert re.search(r"not run: +job 3 in sweep/2 \(clients_per_round=3\)", result.stderr)
    assert not (Path("sweep") / "2" / "run.json").exists()
    # Without it, the rest is done.
    sweep("rounds=1", "clients_per_round=4,400,3,2", "--resume", code=1)
    assert [row["status"] for row in jobs()] == ["completed", "failed", "completed", "completed"]
    assert record(Path("sweep/0"))["resumed"] == []


def test_resume_goes_on_with_what_is_not_done(sweep):
    arguments = ["rounds=4", "seed=1,2,3", "checkpoint.every=2"]
    sweep(*arguments)
    unbroken = [metrics(Path("sweep", str(n))) for n in range(3)]
    # As after kill -9: job 1 while it ran, job 2 before it began.
    broken = Path("sweep/1")
    dead = dataclasses.asdict(_dead_process())
    (broken / "run.json").write_text(json.dumps({**record(broken), "status": "running", "process": dead}))
    (broken / "checkpoints" / "round_000004.npz").unlink()
    (broken / "result.json").unlink()
    shutil.rmtree("sweep/2")
    before = Path("sweep/0/metrics.csv").stat().st_mtime_ns
    result = sweep(*arguments, "--resume")
    assert "3 of 3 jobs" in result.stderr
    assert "(1 of them before)" in result.stderr
    assert Path("sweep/0/metrics.csv").stat().st_mtime_ns == before
    assert record(broken)["resumed"] == [2]
    assert [metrics(Path("sweep", str(n))) for n in range(3)] == unbroken
    # Nothing is left to do.
    again = sweep(*arguments, "--resume")
    assert "nothing to do" in again.stderr
    assert "round" not in again.stderr
    # More rounds are.
    longer = sweep("rounds=5", *arguments[1:], "--resume", "auto")
    assert "3 of 3 jobs" in longer.stderr
    assert [row["rounds"] for row in jobs()] == ["5"] * 3
    assert record(Path("sweep/0"))["resumed"] == [4]


def _dead_process():
    import subprocess

    from fedcli.runs.process import Process

    child = subprocess.Popen(["true"])
    child.wait()
    return dataclasses.replace(Process.current(), pid=child.pid)


def test_resume_finds_the_newest_sweep_of_the_same_overrides(invoke):
    def run(*arguments):
        result = invoke("train", "-m", *TINY, "rounds=1", *arguments)
        assert result.exit_code == 0, result.stderr
        return re.search(r"sweep: +(\S+)", result.stderr)[1]

    first = run("seed=1,2")
    assert run("seed=1,3") != first
    assert run("seed=1,2", "--resume") == first
    new = run("seed=1,4", "--resume")
    assert new != first
    # The folder alone says which jobs there are.
    result = invoke("train", "-m", "--resume", first)
    assert result.exit_code == 0, result.stderr
    assert "nothing to do" in result.stderr


def test_resume_refuses_other_jobs(sweep, invoke):
    sweep("rounds=1", "seed=1,2")
    for arguments, named in (
        (["seed=1,2,3"], "has other jobs"),
        (["clients_per_round=5"], "has other jobs"),
    ):
        result = invoke("train", "-m", "--resume", "sweep", *arguments)
        assert result.exit_code == 2, result.stderr
        assert named in result.stderr
    assert "no sweep to resume" in invoke("train", "-m", "--resume", "sweep/0").stderr
    assert "made by fedcli train" in invoke("finetune", "-m", "--resume", "sweep").stderr
    assert "fedcli train -m --resume sweep" in invoke("train", "--resume", "sweep").stderr
    config = Path("sweep/1/config.yaml")
    config.write_text(config.read_text().replace("clients_per_round: 4", "clients_per_round: 3"))
    result = invoke("train", "-m", "--resume", "sweep")
    assert result.exit_code == 2
    assert "clients_per_round=4" in result.stderr


def test_a_folder_holds_one_sweep(sweep):
    sweep("rounds=0", "seed=1,2")
    result = sweep("rounds=0", "seed=3,4", code=2)
    assert "holds a sweep already" in result.stderr
    assert [row["seed"] for row in jobs()] == ["1", "2"]


def test_json_is_one_document(sweep):
    result = sweep("rounds=1", f"{RATE}=0.01,1e6", *STIFF, "--json", code=1)
    document = json.loads(result.stdout)
    assert document["status"] == "failed"
    assert document["error"]["exit_code"] == 1
    good, bad = document["jobs"]
    assert (good["status"], bad["status"]) == ("completed", "failed")
    assert good["final"]["eval/accuracy"] == float(jobs()[0]["eval/accuracy"])
    assert {f"{RATE}=1e6", f"{RATE}=1000000.0"} & set(bad["overrides"])
    assert "diverged" in bad["error"]["message"]
    assert Path(good["run"]).is_dir()


def test_quiet_says_nothing_but_names_what_failed(sweep):
    assert sweep("rounds=0", "seed=1,2", "-q", folder="good").stderr == ""
    lines = sweep("rounds=0", "clients_per_round=4,400", "-q", code=1).stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["failed", "error", "  try"]


def test_an_objective_that_is_no_metric_is_refused_before_anything_runs(sweep):
    result = sweep("rounds=1", "seed=1,2", "objective=eval/acuracy", code=2)
    assert "objective=eval/acuracy" in result.stderr
    assert "did you mean eval/accuracy?" in result.stderr
    assert not Path("sweep").exists()


def test_a_range_needs_a_search(sweep):
    result = sweep(f"{RATE}=interval(0.1,0.5)", code=2)
    assert "hydra/sweeper=optuna" in result.stderr
    assert not Path("sweep").exists()


def test_resume_alone_is_auto(invoke):
    assert invoke("train", *TINY, "rounds=1").exit_code == 0
    (run,) = Path("outputs").glob("*/*")
    for arguments in (["--resume", *TINY, "rounds=2"], [*TINY, "rounds=3", "--resume"]):
        (run / "run.json").write_text(json.dumps({**record(run), "status": "interrupted"}))
        assert invoke("train", *arguments).exit_code == 0
        assert list(Path("outputs").glob("*/*")) == [run]
    assert record(run)["resumed"] == [1, 2]
    # What is completed is left alone unless it is named.
    assert invoke("train", *TINY, "rounds=4", "--resume").exit_code == 0
    assert len(list(Path("outputs").glob("*/*"))) == 2
    assert record(run)["resumed"] == [1, 2]


@pytest.mark.parametrize(
    ("choice", "extra"),
    [("launcher=joblib", "joblib"), ("launcher=submitit_slurm", "submitit"), ("launcher=ray", "ray"),
     ("sweeper=optuna", "optuna")],
)  # fmt: skip
def test_a_missing_plugin_names_its_extra(sweep, monkeypatch, choice, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    result = sweep("seed=1,2", f"hydra/{choice}", code=2)
    assert f"hydra/{choice}: not installed" in result.stderr
    assert f"uv sync --extra {extra} (in a checkout), or pip install 'fedcli[{extra}]'" in result.stderr


def test_fail_fast_is_for_sweeps(invoke):
    assert "add -m" in invoke("train", "--fail-fast").stderr


def test_jobs_leave_no_memory_behind(sweep):
    """What jobs held is freed: models, graphs, sessions. Those of the last three rounds wait for jobs alike."""
    import gc

    import tensorflow as tf

    def held():
        gc.collect()
        return sum(isinstance(thing, tf.Graph | tf.compat.v1.Session) for thing in gc.get_objects())

    # Each has another compiled round.
    sweep("rounds=1", "client_optimizer.momentum=0.1,0.2,0.3", folder="first")
    before = held()
    sweep("rounds=1", "client_optimizer.momentum=0.4,0.5", folder="second")
    assert held() <= before


def test_each_set_of_values_is_one_job(sweep):
    sweep("rounds=1", "seed=1,1,2", "aggregator=glob(mea*)")
    assert [(row["job"], row["seed"], row["aggregator"], row["status"]) for row in jobs()] == [
        ("0", "1", "mean", "completed"),
        ("1", "2", "mean", "completed"),
    ]
    assert "nothing to do" in sweep("--resume", "sweep").stderr


def test_values_of_a_yaml_file_are_checked_as_arguments_are(sweep, invoke):
    folder = Path("mine/experiment")
    folder.mkdir(parents=True)
    for name, values in (("good", "1,1,2"), ("bad", "range(1,3,0)")):
        text = f'# @package _global_\nhydra: {{sweeper: {{params: {{seed: "{values}"}}}}}}\n'
        (folder / f"{name}.yaml").write_text(text)
    sweep("rounds=1", "experiment=good", "--config-dir", "mine")
    assert [row["seed"] for row in jobs()] == ["1", "2"]
    result = invoke("train", "-m", *TINY, "experiment=bad", "--config-dir", "mine", "hydra.sweep.dir=other")
    assert result.exit_code == 2
    assert "seed=range(1,3,0)" in result.stderr
    assert not Path("other").exists()
