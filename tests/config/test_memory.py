import dataclasses

import pytest

from fedcli.config import memory
from fedcli.config.checks import check
from fedcli.config.memory import check_batch_memory
from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models import models
from fedcli.runtime.memory import memory_limit
from tests.config.test_checks import composed, refusal

IMAGE = DataSpec("image", (28, 28, 1), "float32", (), 10, 13)
ODD_IMAGE = DataSpec("image", (13, 30, 3), "float32", (), 7, 13)
TEXT = DataSpec("text", (20,), "int32", (20,), 86, 5)


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (models["mlp"](), IMAGE),
        (models["mlp"](hidden_units=[]), ODD_IMAGE),
        (models["mlp"](hidden_units=[3, 4, 5]), ODD_IMAGE),
        (models["cnn"](), IMAGE),
        (models["cnn"](), ODD_IMAGE),
        (models["char_rnn"](embedding_dim=3, units=4), TEXT),
        (models["char_rnn"](embedding_dim=3, units=4, reset_after=False), TEXT),
    ],
)
def test_the_counted_parameters_are_those_of_the_built_model(model, spec):
    assert model.size(spec).parameters == model.export(spec).count_params()


def test_every_model_knows_its_size():
    for name, model in models.components.items():
        spec = next(spec for spec in (IMAGE, TEXT) if model.takes(spec.kind))
        assert model().size(spec) is not None, name


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mlp", "model.hidden_units=[1000000000]"],
        ["model=mlp", "model.hidden_units=[100000000,100000000]", "distributor=federated_dropout"],
        ["dataset=shakespeare", "model=char_rnn", "model.units=1000000000"],
        ["dataset=shakespeare", "model=char_rnn", "model.embedding_dim=1000000000", "model.units=1000"],
    ],
)
def test_a_model_beyond_the_memory_is_refused(overrides, monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 16 * 2**30)
    error = refusal(*overrides)
    assert "parameters: a training step needs at least" in error.message
    assert error.message.endswith("of memory, and this machine gives 16 GiB")
    assert error.hint.startswith("choose a smaller model: lower model.")


def test_a_model_that_fits_is_taken(monkeypatch):
    config = composed("model=mlp")
    needed = 4 * 4 * 199_210 + 4 * 1_194
    monkeypatch.setattr(memory, "memory_limit", lambda: needed)
    check(config)
    monkeypatch.setattr(memory, "memory_limit", lambda: needed - 1)
    with pytest.raises(ConfigError):
        check(config)
    monkeypatch.setattr(memory, "memory_limit", lambda: None)
    check(composed("model=mlp", "model.hidden_units=[1000000000]"))


def test_a_batch_beyond_the_memory_is_refused_where_a_client_can_fill_it(monkeypatch):
    config = composed("model=mlp", "dataset.batch_size=1000000")
    with config.load_dataset() as dataset:
        largest = max(dataset.sizes().values())
        limit = config.model.size(dataset.spec).training_bytes(largest, 4)
        monkeypatch.setattr(memory, "memory_limit", lambda: limit)
        check_batch_memory(config, dataset)
        monkeypatch.setattr(memory, "memory_limit", lambda: limit - 1)
        with pytest.raises(ConfigError) as caught:
            check_batch_memory(config, dataset)
        assert caught.value.hint == f"set dataset.batch_size to at most {largest - 1}"
        smaller = dataclasses.replace(config, dataset=config.dataset.replace(batch_size=largest - 1))
        check_batch_memory(smaller, dataset)


def machine(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


MEMINFO = "MemTotal:       1000 kB\nMemFree:  10 kB\nSwapTotal:   24 kB\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/meminfo": "nonsense"}, None),
        ({"proc/meminfo": MEMINFO}, 1024 * 1024),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": "4096\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
            },
            4096,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "5:cpu:/x\n4:memory:/job\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "8192\n",
            },
            8192,
        ),
    ],
)
def test_the_least_limit_counts(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr("fedcli.runtime.memory._address_space", lambda: [])
    assert memory_limit(machine(tmp_path, files)) == expected


def test_this_machine_states_a_limit():
    assert memory_limit() > 2**20
