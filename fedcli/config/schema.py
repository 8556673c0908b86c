"""The typed form of a run's config."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedcli.aggregators.base import AggregatorConfig
from fedcli.algorithms.base import AlgorithmConfig
from fedcli.datasets.base import DatasetConfig
from fedcli.distributors.base import DistributorConfig
from fedcli.models.base import ModelConfig
from fedcli.optimizers.base import OptimizerConfig
from fedcli.runtime.base import RuntimeConfig


@dataclass(frozen=True)
class EvalConfig:
    """How the global model is evaluated.

    Attributes:
        every: Rounds from one evaluation to the next; the initial and the final model are always evaluated.
        max_examples: At most so many test examples, None for all.
        batch_size: Examples a batch.
    """

    every: int = 5
    max_examples: int | None = None
    batch_size: int = 256


@dataclass(frozen=True)
class CheckpointConfig:
    """How the server's state is saved.

    Attributes:
        every: Rounds from one checkpoint to the next; an interrupted or finished run always saves one.
        keep: How many of the newest are kept.
    """

    every: int = 10
    keep: int = 2


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run.

    Attributes:
        rounds: Rounds of training.
        clients_per_round: Clients that take part in a round.
        seed: Where the initial model, the sampling, the order of examples and every random number come from.
        output_dir: Folder that run directories are made in.
        dataset: Clients and their examples.
        model: The Keras model.
        algorithm: How a round is made of its parts.
        client_optimizer: Takes the local steps.
        server_optimizer: Takes the step along the aggregated update.
        aggregator: Client to server.
        distributor: Server to client.
        runtime: Executes the rounds.
        eval: How the model is evaluated.
        checkpoint: How the state is saved.
    """

    dataset: DatasetConfig
    model: ModelConfig
    algorithm: AlgorithmConfig
    client_optimizer: OptimizerConfig
    server_optimizer: OptimizerConfig
    aggregator: AggregatorConfig
    distributor: DistributorConfig
    runtime: RuntimeConfig
    rounds: int = 50
    clients_per_round: int = 10
    seed: int = 0
    output_dir: str = "outputs"
    eval: EvalConfig = field(default_factory=EvalConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
