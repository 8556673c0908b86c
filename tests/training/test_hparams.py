"""The HParams tab of a sweep, asked of TensorBoard's own plugin."""

import dataclasses

import pytest
from tensorboard.plugins.hparams import api_pb2

from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.components.groups import groups
from fedcli.config.pretrain import PretrainConfig
from fedcli.config.schema import FinetuneConfig, TrainConfig
from fedcli.keys.flat import flat
from fedcli.models.char_rnn import CharRNN
from fedcli.runs.directory import RunDirectory
from fedcli.runs.record import RunRecord, write_record
from fedcli.training.hparams import hparam_columns, metric_columns
from fedcli.training.measurements import Measurements
from tests.runs.test_events import session_groups

SWEEP = ["rounds=2", "model=mlp", "aggregator=mean,compression", "dataset.max_batches_per_client=null,5"]
JOBS = [(aggregator, batches) for aggregator in ("mean", "compression") for batches in ("null", "5")]


def composed(*overrides):
    return compose(HydraRequest("train", overrides, "abcdef"), TrainConfig)


def record(overrides, id="0b6173", argv=()):
    return RunRecord.begin(id=id, command="train", argv=["fedcli", "train", *argv], overrides=overrides, seed=0)


def names(columns):
    return [column.name for column in columns]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The record of a sweep: four jobs, of which one failed and one was interrupted and resumed."""
    outputs = tmp_path_factory.mktemp("outputs")
    folder = outputs / "2026-11-20" / "10-00-00-train-abcdef"
    for number, (aggregator, batches) in enumerate(JOBS):
        overrides = ["rounds=2", "model=mlp", f"aggregator={aggregator}", f"++dataset.max_batches_per_client={batches}"]
        run = RunDirectory(folder / str(number))
        run.path.mkdir(parents=True)
        write_record(run.run_json, record(overrides, f"{number:06x}", ["-m", *SWEEP]))
        extra = ["clip"] if aggregator == "compression" else []
        measurements = Measurements(run, composed(*overrides), extra, None)
        for round in range(2):
            measurements.row({"round": round, "eval/accuracy": number / 10 + round / 100, "train/loss": None})
        if number == 3:
            measurements.close(KeyboardInterrupt)
            measurements = Measurements(run, composed(*overrides, "rounds=3"), extra, 1)
            measurements.row({"round": 2, "eval/accuracy": 0.99})
        measurements.close(RuntimeError if number == 1 else None)
    return outputs


def table(experiment, response):
    """Reads the tab: by row, the first columns and metrics that it shows."""
    columns = [info.name for info in experiment.hparam_infos][:3]
    return {
        group.name: (
            *(group.hparams[name].number_value or group.hparams[name].string_value or None for name in columns),
            next(metric.value for metric in group.metric_values if metric.name.tag == "eval/accuracy"),
        )
        for group in response.session_groups
    }


@pytest.mark.parametrize("below", ["", "2026-11-20", "2026-11-20/10-00-00-train-abcdef"])
def test_all_runs_of_a_sweep_show_with_what_was_swept_and_their_metrics(sweep, below):
    experiment, response = session_groups(sweep / below)
    assert [info.name for info in experiment.hparam_infos][:5] == [
        "aggregator.name",
        "dataset.max_batches_per_client",
        "rounds",
        "model.name",
        "seed",
    ]
    assert [info.name.tag for info in experiment.metric_infos][:2] == ["eval/accuracy", "eval/loss"]
    assert table(experiment, response) == {
        "0 000000": ("mean", None, 2, pytest.approx(0.01)),
        "1 000001": ("mean", 5, 2, pytest.approx(0.11)),
        "2 000002": ("compression", None, 2, pytest.approx(0.21)),
        "3 000003": ("compression", 5, 3, pytest.approx(0.99)),
    }
    statuses = {group.name[0]: [session.status for session in group.sessions] for group in response.session_groups}
    success, failure = [api_pb2.STATUS_SUCCESS], [api_pb2.STATUS_FAILURE]
    assert statuses == {"0": success, "1": failure, "2": success, "3": success}


@pytest.mark.parametrize("below", ["1", "1/events"])
def test_one_run_shows(sweep, below):
    experiment, response = session_groups(sweep / "2026-11-20/10-00-00-train-abcdef" / below)
    assert table(experiment, response) == {"1 000001": ("mean", 5, 2, pytest.approx(0.11))}


def test_any_runs_columns_have_the_keys_of_all_runs():
    every = set(names(hparam_columns(composed(), record([]))))
    for group, registry in groups().items():
        for component in registry.components.values():
            assert {f"{group}.{field.name}" for field in dataclasses.fields(component)} <= every
    assert set(flat(dataclasses.asdict(composed()))) <= every
    assert len(names(hparam_columns(composed(), record([])))) == len(every)


def test_what_was_swept_comes_before_what_was_typed():
    overrides = ["output_dir=x", "logger=wandb", "rounds=3", "++client_optimizer.learning_rate=0.1", "seed=1"]
    argv = [*overrides[:3], "client_optimizer.learning_rate=0.1,0.2", "seed=1,2"]
    columns = names(hparam_columns(composed(), record(overrides, argv=argv)))
    assert columns[:3] == ["client_optimizer.learning_rate", "seed", "rounds"]
    assert "output_dir" not in columns[:6]


def test_kinds_of_columns():
    columns = {column.name: column for column in hparam_columns(composed(), record([]))}
    kinds = {
        "rounds": "number",
        "client_optimizer.learning_rate": "number",
        "eval.max_examples": "number",
        "algorithm.weighted": "bool",
        "aggregator.name": "text",
        "model.hidden_units": "text",
        "dataset.origin": "text",
    }
    assert {name: columns[name].kind for name in kinds} == kinds
    assert set(columns["aggregator.name"].choices) >= {"mean", "compression"}


def test_other_commands_have_their_keys():
    assert names(hparam_columns(PretrainConfig(CharRNN()), record(["epochs=2"])))[:2] == ["epochs", "seed"]
    finetune = {column.name for column in hparam_columns(_finetune(), record([]))}
    assert {"pretrained", "rounds", "model.units"} <= finetune


def _finetune():
    config = composed()
    return FinetuneConfig(**{field.name: getattr(config, field.name) for field in dataclasses.fields(config)})


def test_metrics_start_with_what_runs_are_compared_by():
    columns = metric_columns(["clip"])
    assert columns[0] == "eval/accuracy"
    assert columns[-1] == "clip"
    assert "round" not in columns
    assert len(set(columns)) == len(columns)
