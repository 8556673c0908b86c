"""Searches with Optuna: their direction, repeated sets of values, and what cannot begin. In this process."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.test_train import TINY

pytest.importorskip("optuna")

RATE = "client_optimizer.learning_rate"
OPTUNA = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1", "rounds=1"]


@pytest.fixture
def search(invoke):
    """Runs `fedcli train -m` with Optuna in the folder `found`, and returns what it printed."""

    def run(*arguments, code=0):
        result = invoke("train", "-m", *TINY, *OPTUNA, "hydra.sweep.dir=found/it", *arguments)
        assert result.exit_code == code, result.stderr
        return result

    return run


def jobs():
    with open("found/it/sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_accuracy_is_maximized_and_a_set_that_comes_again_is_not_run_again(search):
    # Two sets for four trials: some come again.
    result = search(f"{RATE}=choice(1e-8,0.3)", "hydra.sweeper.sampler.seed=0", "--json")
    assert "search for the largest eval/accuracy" in result.stderr
    document = json.loads(result.stdout)
    assert document["status"] == "completed"
    assert document["trials"] == 4
    rows = jobs()
    assert [row["job"] for row in rows] == list(map(str, range(len(rows))))
    assert len({row[RATE] for row in rows}) == len(rows) == 2
    best = max(float(row["eval/accuracy"]) for row in rows)
    assert best > min(float(row["eval/accuracy"]) for row in rows)
    assert document["best"]["value"] == best
    assert sorted(path.name for path in Path("found/it").iterdir() if path.is_dir()) == ["0", "1"]


def test_a_loss_is_minimized_and_a_direction_that_is_given_counts(search):
    result = search("hydra.sweeper.n_trials=1", f"{RATE}=choice(0.1,0.2)", "objective=train/loss")
    assert "search for the smallest train/loss" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["hydra.sweeper.direction=sideways"], ["hydra.sweeper.direction=sideways", "maximize"]),
        (["hydra.sweeper.direction=null"], ["hydra.sweeper.direction=null", "maximize"]),
        (["hydra.sweeper.direction=[minimize,maximize]"], ["one objective"]),
        (["objective=train/examples"], ["objective=train/examples", "hydra.sweeper.direction=maximize"]),
        (["hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials=0", "at least 1"]),
        (["hydra.sweeper.n_jobs=0"], ["hydra.sweeper.n_jobs=0", "at least 1"]),
        (["hydra.sweeper.storage=nope"], ["hydra.sweeper.storage=nope"]),
        (["hydra.sweeper.max_failure_rate=2"], ["the sweep cannot begin"]),
        (["hydra/sweeper/sampler=grid", "rounds=interval(1,2)"], ["the search cannot begin"]),
        (["rounds=interval(3,1)"], ["the search cannot begin"]),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], ["hydra.launcher.n_jobs=0"]),
    ],
    ids=" ".join,
)
def test_what_cannot_begin_is_refused_before_anything_is_written(search, arguments, named):
    result = search(f"{RATE}=choice(0.1,0.2)", *arguments, code=2)
    lines = result.stderr.splitlines()
    assert len(lines) == 2, result.stderr
    assert lines[0].startswith("error: ")
    for text in named:
        assert text in result.stderr
    assert list(Path().iterdir()) == []


def test_a_search_of_which_all_jobs_fail_exits_with_1(search):
    result = search("hydra.sweeper.n_trials=1", f"{RATE}=choice(0.1,0.2)", "objective=clients/loss_mean", code=1)
    assert "objective=clients/loss_mean: no such metric" in result.stderr
    assert "1 of the sweep's 1 jobs are not done: 1 failed" in result.stderr
