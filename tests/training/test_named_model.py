"""Which run's model has a name."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from fedcli.config.pretrain import PretrainConfig
from fedcli.errors import ConfigError
from fedcli.models.char_rnn import CharRNN
from fedcli.pretrained import pretrained_path
from fedcli.runs.directory import RunDirectory
from fedcli.training import named_model
from fedcli.training.named_model import publish, refuse_taken


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Makes a run's folder with a model.keras that holds the run's id."""
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(named_model, "read_record", lambda path: SimpleNamespace(id=path.parent.name))

    def run(id):
        (tmp_path / id).mkdir()
        directory = RunDirectory(tmp_path / id)
        directory.model_keras.write_text(id)
        return directory

    return run


CONFIG = PretrainConfig(CharRNN(), "text.txt", "mine")


def test_of_two_runs_that_end_at_once_one_gets_the_name(run, monkeypatch):
    runs = [run("first"), run("second")]
    copying, copy = threading.Event(), named_model.shutil.copyfile

    def slow(source, target):
        copying.set()
        other_asks.wait(1)  # that it comes this far, it may not
        copy(source, target)

    other_asks = threading.Event()
    monkeypatch.setattr(named_model.shutil, "copyfile", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(publish, CONFIG, runs[0], {})
        assert copying.wait(60)
        second = pool.submit(publish, CONFIG, runs[1], {})
        first.result()
        with pytest.raises(ConfigError, match="there is a model of that name"):
            second.result()
    assert pretrained_path("mine").read_text() == "first"
    refuse_taken(CONFIG, runs[0])  # its own
    with pytest.raises(ConfigError, match="there is a model of that name"):
        refuse_taken(CONFIG, runs[1])
