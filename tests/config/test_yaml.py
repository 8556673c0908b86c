"""Every YAML file that ships composes, is typed, and says exactly what its dataclass has."""

import dataclasses
import sqlite3
from contextlib import closing

import pytest
from omegaconf import OmegaConf

from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.components.groups import groups
from fedcli.config.checks import check
from fedcli.config.schema import TrainConfig
from fedcli.datasets.importing.store import ABOUT_TABLE, About
from fedcli.keys.location import choices, config_folder

CHOICES = [(group, name) for group in groups() for name in choices()[group]]
IMAGES_OR_TEXT = {
    "shakespeare": ["model=char_rnn"],
    "char_rnn": ["dataset=shakespeare"],
    "imported": ["dataset.source=table", "model=mlp"],
    "mime_lite": ["client_optimizer.momentum=0.9"],
    "dp": ["algorithm.weighted=false"],
    "ddp": ["algorithm.weighted=false"],
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


#: Base-10 logarithms of the client's and the server's best learning rates, and of tau: the tables in the authors'
#: optimization/docs/hyperparameters.md.
FED_OPT = {
    "emnist_fed_avg": (-1, 0, None),
    "emnist_fed_avgm": (-1.5, -0.5, None),
    "emnist_fed_adagrad": (-1.5, -1, -2),
    "emnist_fed_adam": (-1.5, -2.5, -4),
    "emnist_fed_yogi": (-1.5, -2.5, -4),
    "shakespeare_fed_avg": (0, 0, None),
    "shakespeare_fed_avgm": (0, -0.5, None),
    "shakespeare_fed_adagrad": (0, -0.5, -1),
    "shakespeare_fed_adam": (0, -2, -3),
    "shakespeare_fed_yogi": (0, -2, -3),
}


@pytest.mark.parametrize("name", FED_OPT)
def test_fed_opt_has_the_published_hyperparameters(name):
    config = composed(f"experiment={name}")
    client, server, tau = FED_OPT[name]
    task, _, method = name.partition("_fed_")
    optimizer = config.server_optimizer
    assert config.client_optimizer.learning_rate == pytest.approx(10**client, rel=1e-3)
    assert optimizer.learning_rate == pytest.approx(10**server, rel=1e-3)
    assert (config.client_optimizer.name, config.client_optimizer.momentum) == ("sgd", 0)
    assert optimizer.name == {"avg": "sgd", "avgm": "sgd"}.get(method, method)
    if optimizer.name == "sgd":
        assert optimizer.momentum == (0.9 if method == "avgm" else 0)
    else:  # Adagrad's epsilon is added under the square root
        assert optimizer.epsilon == pytest.approx(10 ** (2 * tau if method == "adagrad" else tau))
        assert getattr(optimizer, "initial_preconditioner_value", 0) == 0
        assert (getattr(optimizer, "beta_1", 0.9), getattr(optimizer, "beta_2", 0.99)) == (0.9, 0.99)
    assert (config.dataset.name, config.clients_per_round, config.dataset.client_epochs) == (task, 10, 1)
    assert (config.rounds, config.dataset.batch_size) == ((1500, 20) if task == "emnist" else (1200, 4))
    if task == "emnist":
        assert not config.dataset.only_digits
    else:
        assert config.dataset.sequence_length == 80


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
