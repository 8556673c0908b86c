"""Training that costs nothing: everything about a run's folder is real, the numbers are hashes of what decides them.

A round's state is a hash of the last one's, the seed, the learning rate and the data, so a row of metrics.csv tells
whether it stands under the right config, and whether the rounds before it were its own.
"""

import hashlib
import pickle
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import yaml

from fedcli.datasets.base import DataSpec, Examples, FederatedDataset
from fedcli.runs.atomic import write_bytes
from fedcli.runtime.base import Runtime
from fedcli.runtime.engine.communication import Communication
from fedcli.runtime.engine.compiled import CompiledRound, Leaf
from fedcli.runtime.round import RoundResult
from fedcli.training.cohorts import Cohorts
from fedcli.training.recorder import Progress
from fedcli.training.setup import Experiment

_NUMBER = np.dtype(np.float64)
COMPILED = CompiledRound(
    parts={},
    state=(Leaf("global_model_weights/trainable/0", _NUMBER, ()),),
    metrics=(),
    batch=(Leaf("x", _NUMBER, ()), Leaf("y", _NUMBER, ())),
    communication=Communication(64, 32),
)


class Data:
    """The data that all runs train on, which can be replaced; stands for `digits`."""

    def __init__(self):
        self.version = "first"

    def fingerprint(self, config=None):
        return hashlib.sha256(self.version.encode()).hexdigest()

    def load(self, config=None):
        return Clients()


class Clients(FederatedDataset):
    spec = DataSpec("image", (28, 28, 1), "float32", (), 10, 6)
    client_ids = tuple(f"c{number}" for number in range(6))

    def client(self, client_id):
        return Examples(np.zeros((3, 28, 28, 1), np.float32), np.zeros(3, np.int32))

    def test(self, max_examples=None):
        return self.client("c0")


def decided_by(seed, learning_rate, fingerprint):
    """Returns what a round's numbers depend on beside the rounds before."""
    return hashlib.sha256(f"{seed} {float(learning_rate)} {fingerprint}".encode()).hexdigest()


def following(value, decides):
    """Returns the state's number after one more round."""
    return int(hashlib.sha256(f"{value!r} {decides}".encode()).hexdigest()[:12], 16) / 2**48


def expected_losses(config, fingerprint):
    """Returns eval/loss after each round of a run with a config, as read from its config.yaml."""
    decides = decided_by(config["seed"], config["client_optimizer"]["learning_rate"], fingerprint)
    values = [following(0.0, decides)]
    for _ in range(config["rounds"]):
        values.append(following(values[-1], decides))
    return values


class CheapRuntime(Runtime):
    """Hashes instead of training."""

    def load(self, compiled, dataset=None):
        pass

    def initial_state(self, seed):
        raise NotImplementedError

    def run_round(self, state, clients, seed):
        value = np.float64(following(float(state[0]), self.decides))
        return RoundResult([value], {"client_work/train/loss": value})


class CheapExperiment(Experiment):
    """An experiment whose record is real."""

    @classmethod
    @contextmanager
    def build(cls, config, dataset, runtime):
        rates = SimpleNamespace(columns=[], row=lambda round: {}, put_into=lambda state, round: state)
        cohorts = Cohorts(config, dataset, COMPILED.communication)
        # Not a part of the state: a run that goes on with other data is to show it.
        runtime.decides = decided_by(config.seed, config.client_optimizer.learning_rate, cls.data.fingerprint())
        yield cls(config, dataset, frozenset(), dataset, COMPILED, runtime, None, None, None, cohorts, None, rates)

    def initial_progress(self, pretrained=None):
        return Progress(0, [np.float64(following(0.0, self.runtime.decides))])

    def evaluate(self, state):
        return {"eval/loss": float(state[0]), "eval/accuracy": 1 - float(state[0])}

    def sample(self, state):
        return None

    def save_model(self, run, state):
        write_bytes(run.model_keras, state[0].tobytes())


def use(patch):
    """Replaces the training of this process; returns the data."""
    data = Data()
    patch.setattr("fedcli.training.train.import_tensorflow", lambda: None)
    patch.setattr("fedcli.training.setup.Experiment", CheapExperiment)
    patch.setattr(CheapExperiment, "data", data, raising=False)
    patch.setattr("fedcli.runtime.local.Local.start", lambda self, log: CheapRuntime())
    patch.setattr("fedcli.datasets.digits.Digits.fingerprint", data.fingerprint)
    patch.setattr("fedcli.datasets.digits.Digits.load", data.load)
    compose_quickly(patch)
    return data


def compose_quickly(patch):
    """Has Hydra compose a config once, whatever was given before for a key that is given again: it takes 0.2 s."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    compose, known = ConfigLoaderImpl.load_configuration, {}

    def load(self, config_name, overrides, run_mode, *more, **options):
        last = {override.lstrip("+").partition("=")[0]: override for override in overrides}
        key = (config_name, tuple(sorted(last.values())), run_mode)
        if key not in known:
            known[key] = pickle.dumps(compose(self, config_name, overrides, run_mode, *more, **options))
        return pickle.loads(known[key])  # noqa: S301 (just written here)

    patch.setattr(ConfigLoaderImpl, "load_configuration", load)


def config_of(run):
    return yaml.safe_load((Path(run) / "config.yaml").read_text())
