import math
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedcli.loggers import loggers
from fedcli.loggers.mlflow import MLflow

pytest.importorskip("mlflow")

CONFIG = {
    "rounds": 2,
    "client_optimizer.learning_rate": 0.1,
    "eval.max_examples": None,
    "dataset.drop_remainder": False,
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self, address):
        raise AssertionError(f"{address} was called")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def client(folder):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=folder.as_uri())


def only_run(folder, experiment="fedcli"):
    mlflow = client(folder)
    (found,) = mlflow.search_runs([mlflow.get_experiment_by_name(experiment).experiment_id])
    return mlflow, found


def history(mlflow, run, name):
    return [(point.step, point.value) for point in mlflow.get_metric_history(run.info.run_id, name)]


def test_a_run_as_mlflow_reads_it(run, record, tmp_path):
    logger = loggers["mlflow"](name="mlflow").start(run, record, CONFIG)
    assert logger.last_round == -1
    assert only_run(run.mlflow)[1].info.status == "RUNNING"
    logger.scalars(0, {"eval/accuracy": 0.1, "aggregated_bits": 0})
    logger.scalars(1, {"eval/accuracy": 0.5, "aggregated_bits": 2**40, "train/loss": math.nan, "clip[0]": 1.0})
    logger.text(1, "sample", "To be, or not to be: größer")
    logger.close("completed")

    mlflow, found = only_run(run.mlflow)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "3 0b6173"
    assert found.data.params == {name: str(value) for name, value in CONFIG.items()}
    assert history(mlflow, found, "eval/accuracy") == [(0, 0.1), (1, 0.5)]
    assert history(mlflow, found, "aggregated_bits") == [(0, 0), (1, 2**40)]
    assert math.isnan(history(mlflow, found, "train/loss")[0][1])
    assert history(mlflow, found, "clip_0_") == [(1, 1.0)]
    (artifact,) = mlflow.list_artifacts(found.info.run_id, "sample")
    assert artifact.path == "sample/round_000001.txt"
    text = mlflow.download_artifacts(found.info.run_id, artifact.path, tmp_path)
    assert Path(text).read_text("utf-8") == "To be, or not to be: größer"
    assert found.data.tags["fedcli.folder"] == str(run.path)


@pytest.mark.parametrize(("status", "shown"), [("interrupted", "KILLED"), ("failed", "FAILED")])
def test_other_endings(run, record, status, shown):
    MLflow().start(run, record, CONFIG).close(status)
    assert only_run(run.mlflow)[1].info.status == shown


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(run, record):
    logger = MLflow().start(run, record, CONFIG)
    for round in range(3):
        logger.scalars(round, {"eval/accuracy": round / 10})
    logger.close("interrupted")
    logger = MLflow().start(run, record, {**CONFIG, "rounds": 9, "new": 1})
    assert logger.last_round == 2
    assert only_run(run.mlflow)[1].info.status == "RUNNING"
    logger.scalars(3, {"eval/accuracy": 0.3})
    logger.close("completed")
    mlflow, found = only_run(run.mlflow)
    assert [step for step, _ in history(mlflow, found, "eval/accuracy")] == [0, 1, 2, 3]
    assert found.data.params["rounds"] == "2"  # MLflow's parameters cannot change
    assert found.data.tags["resumed.rounds"] == "9"
    assert found.data.params["new"] == "1"


def test_runs_share_a_folder_and_an_experiment(run, record, tmp_path):
    config = MLflow(tracking_dir=str(tmp_path / "all runs"), experiment="a study")
    ids = [f"{number:06d}" for number in range(4)]

    def log(id):
        other = type(record)(id=id, command="train")
        logger = config.start(run, other, CONFIG)
        logger.scalars(0, {"eval/accuracy": 0.5})
        logger.close("completed")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(log, ids))
    mlflow = client(tmp_path / "all runs")
    (experiment,) = [found for found in mlflow.search_experiments() if found.name != "Default"]
    assert experiment.name == "a study"
    found = mlflow.search_runs([experiment.experiment_id])
    assert sorted(each.data.tags["fedcli.id"] for each in found) == ids
    assert list(run.path.iterdir()) == []


def test_more_keys_than_mlflow_takes_at_a_time(run, record):
    config = {f"group.key{number}": number for number in range(230)}
    MLflow().start(run, record, config).close("completed")
    assert len(only_run(run.mlflow)[1].data.params) == 230


def test_a_run_that_a_killed_process_left_without_tags_is_taken_up(run, record):
    """MLflow writes a new run's tags after the run: a second one would leave the first RUNNING for good."""
    MLflow().start(run, record, CONFIG).close("interrupted")
    mlflow, found = only_run(run.mlflow)
    for tag in list(found.data.tags):
        if tag.startswith("fedcli."):
            mlflow.delete_tag(found.info.run_id, tag)
    MLflow().start(run, record, CONFIG).close("completed")
    mlflow, found = only_run(run.mlflow)
    assert found.info.status == "FINISHED"
    assert found.data.tags["fedcli.id"] == record.id
