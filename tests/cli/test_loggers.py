"""`logger=...` end to end."""

import pytest
import yaml

from fedcli.runs.directory import RunDirectory, find_runs
from fedcli.runs.metrics import read_metrics

TINY = ["model=mlp", "model.hidden_units=[8]", "clients_per_round=2", "client_optimizer.learning_rate=0.3"]


def only_run():
    (run,) = find_runs(["outputs"])
    return run


def mlflow_history(folder, name):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.absolute().as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("fedcli").experiment_id])
    return found, [(point.step, point.value) for point in client.get_metric_history(found.info.run_id, name)]


def test_tensorboard_is_the_default(invoke):
    for command in ("train", "finetune", "pretrain"):
        result = invoke(command, "--cfg", "job")
        assert result.exit_code == 0, result.stderr
        assert yaml.safe_load(result.stdout)["logger"] == {"name": "tensorboard"}


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_logger_that_is_not_installed_is_refused_before_the_run_starts(invoke, name, monkeypatch):
    monkeypatch.setattr("fedcli.loggers.base._is_installed", lambda package: False)
    result = invoke("train", *TINY, f"logger={name}")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"error: logger={name}: the package {name} is not installed",
        f"  try: uv sync --extra {name} (in a checkout), or pip install 'fedcli[{name}]'; or logger=tensorboard",
    ]
    assert not RunDirectory("outputs").path.exists()


def test_a_run_and_what_follows_it_are_one_mlflow_run(invoke):
    pytest.importorskip("mlflow")
    result = invoke("train", *TINY, "rounds=1", "eval.every=1", "logger=mlflow")
    assert result.exit_code == 0, result.stderr
    run = only_run()
    result = invoke("train", "--resume", str(run), "rounds=2")
    assert result.exit_code == 0, result.stderr
    found, accuracies = mlflow_history(run.mlflow, "eval/accuracy")
    assert found.info.status == "FINISHED"
    assert found.data.params["client_optimizer.learning_rate"] == "0.3"
    assert accuracies == [(row["round"], row["eval/accuracy"]) for row in read_metrics(run.metrics_csv)]
    assert [step for step, _ in accuracies] == [0, 1, 2]


def test_the_logger_can_change_on_resume(invoke, tmp_path):
    pytest.importorskip("mlflow")
    assert invoke("train", *TINY, "rounds=1").exit_code == 0
    run = only_run()
    shared = tmp_path / "all runs"
    result = invoke("train", "--resume", str(run), "rounds=2", "logger=mlflow", f"logger.tracking_dir='{shared}'")
    assert result.exit_code == 0, result.stderr
    _, losses = mlflow_history(shared, "eval/loss")
    assert losses == [
        (row["round"], row["eval/loss"]) for row in read_metrics(run.metrics_csv) if row["eval/loss"] is not None
    ]
    assert not run.mlflow.exists()


def test_a_logger_never_breaks_a_run(invoke, monkeypatch, tmp_path):
    pytest.importorskip("mlflow")
    (tmp_path / "file").write_text("not a folder")
    result = invoke("train", *TINY, "rounds=1", "logger=mlflow", "logger.tracking_dir=file")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("logger=mlflow: ") == 1
    assert "the run goes on" in result.stderr
    run = only_run()
    assert [row["round"] for row in read_metrics(run.metrics_csv)] == [0, 1]
    assert "Traceback" in run.run_log.read_text()


def test_wandb_in_a_process_of_its_own(run_cli, tmp_path):
    """It says nothing on the terminal, and its own process ends with the run."""
    pytest.importorskip("wandb")
    done = run_cli("train", *TINY, "rounds=1", "logger=wandb", "--json", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (run,) = find_runs([tmp_path / "outputs"])
    (file,) = run.wandb.glob("offline-run-*/*.wandb")
    from fedcli.loggers.wandb import last_round

    assert last_round(file) == 1
