"""Every YAML file that ships composes, is typed, and says exactly what its dataclass has."""

import dataclasses
import sqlite3
from contextlib import closing

import pytest
from omegaconf import OmegaConf

from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.config.checks import check
from fedcli.config.groups import groups
from fedcli.config.location import choices, config_folder
from fedcli.config.schema import TrainConfig
from fedcli.datasets.importing.store import ABOUT_TABLE, About

CHOICES = [(group, name) for group in groups() for name in choices()[group]]
IMAGES_OR_TEXT = {
    "shakespeare": ["model=char_rnn"],
    "char_rnn": ["dataset=shakespeare"],
    "imported": ["dataset.source=table", "model=mlp"],
}


@pytest.fixture(autouse=True)
def imported_table(tmp_path, monkeypatch):
    """A data set for dataset=imported."""
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path))
    (tmp_path / "imported").mkdir()
    about = About("table", "table", [1], ["x"], ["a", "b"], 10, 10, 40, 10, 0, 0, "table.csv", "0.2", "2026-01-01")
    with closing(sqlite3.connect(tmp_path / "imported" / "table.sqlite")) as connection:
        connection.execute(ABOUT_TABLE)
        connection.execute("INSERT INTO fedcli_import VALUES (?)", (about.to_json(),))
        connection.commit()


def composed(*overrides):
    config = compose(HydraRequest("train", overrides, "abcdef"), TrainConfig)
    check(config)
    return config


def test_every_group_has_a_folder_and_every_component_a_file():
    assert set(choices()) == {*groups(), "experiment"}
    for group, registry in groups().items():
        assert choices()[group] == sorted(registry.components)


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_composes(group, name):
    component = getattr(composed(f"{group}={name}", *IMAGES_OR_TEXT.get(name, [])), group)
    assert type(component) is groups()[group][name]
    assert component.name == name


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_yaml_has_the_keys_of_its_dataclass(group, name):
    values = OmegaConf.load(config_folder() / group / f"{name}.yaml")
    assert values["name"] == name
    assert set(values) == {field.name for field in dataclasses.fields(groups()[group][name])}


def test_train_yaml_has_the_keys_and_defaults_of_its_dataclasses():
    values = OmegaConf.to_container(OmegaConf.load(config_folder() / "train.yaml"))
    del values["defaults"]
    config = composed()
    assert values.keys() | groups().keys() == {field.name for field in dataclasses.fields(TrainConfig)}
    for field in dataclasses.fields(TrainConfig):
        if field.name in values:
            default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            assert getattr(config, field.name) == default
            assert values[field.name] == (dataclasses.asdict(default) if dataclasses.is_dataclass(default) else default)


@pytest.mark.parametrize("name", choices()["experiment"])
def test_every_experiment_composes(name):
    composed(f"experiment={name}")


@pytest.mark.parametrize("aggregator", ["mean", "compression"])
def test_emnist_compression_is_the_study(aggregator):
    config = composed("experiment=emnist_compression", f"aggregator={aggregator}")
    assert (config.rounds, config.clients_per_round) == (10, 10)
    assert (config.dataset.name, config.dataset.only_digits) == ("emnist", True)
    assert (config.dataset.batch_size, config.dataset.client_epochs) == (20, 1)
    assert (config.dataset.max_batches_per_client, config.dataset.clients) == (None, None)
    assert config.model.name == "cnn"
    assert (config.algorithm.name, config.algorithm.weighted) == ("fed_avg", True)
    client, server = config.client_optimizer, config.server_optimizer
    assert (client.name, client.learning_rate, client.momentum) == ("sgd", 0.02, 0.0)
    assert (server.name, server.learning_rate, server.momentum) == ("sgd", 1.0, 0.0)
    assert config.aggregator.name == aggregator
    assert config.distributor.name == "broadcast"


def test_the_command_line_wins_over_an_experiment():
    config = composed("experiment=emnist_compression", "rounds=3", "client_optimizer=adam")
    assert config.rounds == 3
    assert config.client_optimizer.name == "adam"
