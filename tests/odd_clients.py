"""Runs in this process on a tiny data set whose clients are odd: without an example, with one, with a broken one."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fedcli.aggregators.mean import Mean
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.config.checks import check
from fedcli.config.schema import CheckpointConfig, EvalConfig, TrainConfig
from fedcli.datasets.base import DatasetConfig, DataSpec, Examples, FederatedDataset
from fedcli.distributors.broadcast import Broadcast
from fedcli.models.mlp import MLP
from fedcli.optimizers.sgd import SGD
from fedcli.runs.directory import RunDirectory
from fedcli.runs.recorded import recorded
from fedcli.runtime.local import Local
from fedcli.training.train import train
from tests.conftest import table

SPEC = DataSpec("table", (3,), "float32", (), 2, 6)


@dataclass(frozen=True)
class OddClients(DatasetConfig):
    """Rows of three numbers in two classes.

    Attributes:
        counts: Training examples of each client; clients are called c0, c1, ...
        broken: Clients whose first input is not a number, so that their updates are not finite.
        tested: Test examples of each client.
    """

    name: str = "odd_clients"
    batch_size: int = 4
    counts: Sequence[int] = (8, 0, 1, 8, 8, 8)
    broken: Sequence[str] = field(default_factory=tuple)
    tested: int = 2

    @property
    def spec(self) -> DataSpec:
        return dataclasses.replace(SPEC, num_clients=len(self.counts))

    def load(self) -> "_Loaded":
        return _Loaded(self)


class _Loaded(FederatedDataset):
    def __init__(self, config: OddClients) -> None:
        self.spec = config.spec
        self._config = config
        self.client_ids = [f"c{number}" for number in range(len(config.counts))]

    def client(self, client_id):
        number = int(client_id[1:])
        data = _rows(number, self._config.counts[number])
        if client_id in self._config.broken:
            data.x[0, 0] = np.nan
        return data

    def test_client(self, client_id):
        return _rows(100 + int(client_id[1:]), self._config.tested)

    def test(self, max_examples=None):
        all_clients = [self.test_client(client) for client in self.client_ids]
        return Examples(np.concatenate([one.x for one in all_clients]), np.concatenate([one.y for one in all_clients]))


def _rows(seed, count):
    x = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Examples(x, (x.sum(1) > 0).astype(np.int32))


CONFIG = TrainConfig(
    dataset=OddClients(),
    model=MLP(hidden_units=[]),
    algorithm=FedAvg(),
    client_optimizer=SGD(learning_rate=0.1),
    server_optimizer=SGD(learning_rate=1.0),
    aggregator=Mean(),
    distributor=Broadcast(),
    runtime=Local(threads=1),
    rounds=2,
    clients_per_round=6,
    eval=EvalConfig(every=1),
    checkpoint=CheckpointConfig(every=100),
)


class Quiet:
    """Watches a run and shows nothing."""

    def preparing(self, what):
        pass

    def started(self, round, rounds):
        pass

    def row(self, row):
        pass

    def stopping(self):
        pass


def run(folder, **keys):
    """Runs the config above with some parts changed, as `fedcli train` does.

    Returns:
        The rows of metrics.csv, without times, and the run directory.
    """
    config = check(dataclasses.replace(CONFIG, **keys))
    folder.mkdir(parents=True)
    directory = RunDirectory(folder)
    with recorded(directory, id="abcdef", command="train", argv=[], overrides=[], seed=config.seed) as journal:
        train(config, directory, Quiet(), journal)
    return rows(directory), directory


def rows(directory):
    """Returns the rows of metrics.csv without times."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in table(directory.metrics_csv)]
