"""The typed form of a run's config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.aggregators.base import AggregatorConfig
from fedcli.algorithms.base import AlgorithmConfig
from fedcli.attacks.base import AttackConfig
from fedcli.attacks.none import NoAttack
from fedcli.config.privacy import PrivacyConfig
from fedcli.datasets.base import DatasetConfig, FederatedDataset
from fedcli.distributors.base import DistributorConfig
from fedcli.keys.sampling import SamplingConfig
from fedcli.loggers.base import LoggerConfig
from fedcli.loggers.tensorboard import TensorBoard
from fedcli.models.base import ModelConfig
from fedcli.optimizers.base import OptimizerConfig
from fedcli.partitions.base import PartitionConfig
from fedcli.partitions.natural import Natural
from fedcli.ranges import Count, CountOrZero, Range, Seed
from fedcli.runtime.base import RuntimeConfig
from fedcli.schedules.base import ScheduleConfig
from fedcli.schedules.constant import Constant

if TYPE_CHECKING:
    from fedcli.pretrained import Pretrained


@dataclass(frozen=True)
class EvalConfig:
    """How the global model is evaluated.

    Attributes:
        every: Rounds from one evaluation to the next; the initial and the final model are always evaluated.
        max_examples: At most so many test examples, None for all.
        batch_size: Examples a batch.
        all_clients: Whether to evaluate on the test examples of all clients, also where `dataset.clients` names some.
    """

    every: Count = 5
    max_examples: Count | None = None
    batch_size: Count = 256
    all_clients: bool = True


@dataclass(frozen=True)
class ClientEvalConfig:
    """How the global model is evaluated for each client by itself.

    Attributes:
        every: Rounds from one such evaluation to the next, and after the last round; None for never.
        max_clients: At most so many of the clients with test examples, a fixed choice; None for all.
        personalize_epochs: Passes over all of a client's own training examples by the client optimizer, at the learning
            rate that `client_schedule` gives the round, before it is evaluated a second time; 0 for none.
            `dataset.max_batches_per_client` limits training rounds alone.
    """

    every: Count | None = None
    max_clients: Count | None = None
    personalize_epochs: Annotated[int, Range(0, 10**6)] = 0


@dataclass(frozen=True)
class CheckpointConfig:
    """How the server's state is saved.

    Attributes:
        every: Rounds from one checkpoint to the next; an interrupted or finished run always saves one.
        keep: How many of the newest are kept.
    """

    every: Count = 10
    keep: Count = 2


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run.

    Attributes:
        rounds: Rounds of training.
        clients_per_round: Clients that take part in a round.
        seed: Where the initial model, the sampling, the order of examples and every random number come from.
        objective: Metric that a search optimizes.
        output_dir: Folder that run directories are made in.
        dataset: Clients and their examples.
        partition: Whether the examples stay with those clients, or are dealt to synthetic ones.
        model: The Keras model.
        algorithm: How a round is made of its parts.
        client_optimizer: Takes the local steps.
        server_optimizer: Takes the step along the aggregated update.
        client_schedule: Share of the client optimizer's learning rate by round.
        server_schedule: Share of the server optimizer's learning rate by round.
        aggregator: Client to server.
        distributor: Server to client.
        attack: What some of the clients do to harm the model, simulated.
        runtime: Executes the rounds.
        logger: Where measurements go beside the run's own files.
        sampling: How a round's clients are sampled, and who of them reports, simulated.
        privacy: How the privacy is accounted for that the aggregator gives.
        eval: How the model is evaluated.
        client_eval: How it is evaluated for each client by itself.
        checkpoint: How the state is saved.
    """

    #: The command that runs such a config.
    command: ClassVar[str] = "train"

    dataset: DatasetConfig
    model: ModelConfig
    algorithm: AlgorithmConfig
    client_optimizer: OptimizerConfig
    server_optimizer: OptimizerConfig
    aggregator: AggregatorConfig
    distributor: DistributorConfig
    runtime: RuntimeConfig
    partition: PartitionConfig = field(default_factory=Natural)
    attack: AttackConfig = field(default_factory=NoAttack)
    client_schedule: ScheduleConfig = field(default_factory=Constant)
    server_schedule: ScheduleConfig = field(default_factory=Constant)
    logger: LoggerConfig = field(default_factory=TensorBoard)
    rounds: CountOrZero = 50
    clients_per_round: Count = 10
    seed: Seed = 0
    objective: str = "eval/accuracy"
    output_dir: str = "outputs"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    client_eval: ClientEvalConfig = field(default_factory=ClientEvalConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def load_dataset(self) -> FederatedDataset:
        """Loads the data set and deals its examples.

        Raises:
            DataError: See `DatasetConfig.load`.
            ConfigError: There are too few examples to deal.
        """
        dataset = self.dataset.load()
        try:
            return self.partition.apply(dataset)
        except BaseException:
            dataset.close()
            raise


@dataclass(frozen=True)
class FinetuneConfig(TrainConfig):
    """Everything that decides a fine-tuning run: training from weights that are there.

    Attributes:
        pretrained: Name, Keras file or run directory that the model and its first weights are from.
        pretrained_is_public: Whether you vouch that the pretrained model has learned nothing of the clients, so that
            epsilon need not count its training. Published models (`dickens`) are public without it.
    """

    command: ClassVar[str] = "finetune"

    pretrained: str = ""
    pretrained_is_public: bool = False

    def load_pretrained(self) -> Pretrained:
        """Loads the pretrained model, fetching it first where it is not in the cache.

        Raises:
            ConfigError: There is no such model, it does not fit the data set, or some of its layers are frozen.
            DataError: It cannot be fetched or read.
        """
        from fedcli.pretrained import load_pretrained

        pretrained = load_pretrained(self.pretrained, origin=self.dataset.origin, cache_dir=self.dataset.cache_dir)
        pretrained.check(self.dataset.spec)
        pretrained.check_trainable()
        return pretrained
