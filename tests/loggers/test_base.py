import sys

import pytest

from fedcli.errors import ConfigError
from fedcli.extras import how_to_install
from fedcli.loggers import loggers
from fedcli.loggers.base import Logger, LoggerConfig


@pytest.mark.parametrize("name", loggers.components)
def test_a_logger_that_is_installed_is_accepted(name):
    component = loggers[name]
    if component.package is not None:
        pytest.importorskip(component.package)
    component(name=name).check()


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
@pytest.mark.parametrize("leftover", [False, True])
def test_a_logger_that_is_not_installed_is_refused(name, leftover, tmp_path, monkeypatch):
    # Where wandb was used, a folder of its name is left, which Python could import.
    if leftover:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigError, match=f"logger={name}: the package {name} is not installed") as caught:
        loggers[name](name=name).check()
    assert caught.value.hint == f"{how_to_install(name)}; or logger=tensorboard"
    assert f"uv sync --extra {name} " in caught.value.hint


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("mlflow", {"tracking_dir": "http://localhost:5000"}),
        ("mlflow", {"tracking_dir": " "}),
        ("mlflow", {"experiment": ""}),
        ("wandb", {"project": ""}),
    ],
)
def test_keys_that_make_no_sense_are_named(name, keys):
    assert [field for field, _ in loggers[name](name=name, **keys).problems()] == list(keys)
    assert list(loggers[name](name=name).problems()) == []


def test_tensorboard_writes_nothing_beside_the_runs_files(run, record):
    logger = loggers["tensorboard"](name="tensorboard").start(run, record, {})
    logger.scalars(0, {"eval/loss": 1.0})
    logger.text(0, "sample", "to be")
    logger.close("completed")
    assert list(run.path.iterdir()) == []
    assert logger.last_round == -1


def test_a_logger_need_not_start():
    assert type(LoggerConfig("none").start(None, None, {})) is Logger
