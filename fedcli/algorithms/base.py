"""What an algorithm is to the rest of fedcli: a `tff.learning` process made from its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators.base import AggregatorConfig
from fedcli.attacks.base import AttackConfig
from fedcli.distributors.base import DistributorConfig
from fedcli.optimizers.base import OptimizerConfig
from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.algorithms.processes.shared_part import SharedPart
    from fedcli.datasets.base import DatasetConfig
    from fedcli.models.base import ModelFn
    from fedcli.partitions.base import PartitionConfig


@dataclass(frozen=True)
class Parts:
    """What an algorithm puts together.

    Attributes:
        model_fn: Builds the model in the graph in which it is called.
        client_optimizer: Takes the local steps.
        server_optimizer: Takes the step along the aggregated update.
        aggregator: Client to server.
        distributor: Server to client.
        attack: What attackers make of their updates; None where all send what they have trained.
    """

    model_fn: ModelFn
    client_optimizer: OptimizerConfig
    server_optimizer: OptimizerConfig
    aggregator: AggregatorConfig
    distributor: DistributorConfig
    attack: AttackConfig | None = None

    @property
    def client_model_fn(self) -> ModelFn:
        """Builds the model that clients train."""
        return self.distributor.client_model_fn(self.model_fn)

    def factory(self, *, weighted: bool) -> tff.aggregators.WeightedAggregationFactory:
        """Builds what aggregates updates that come with a weight.

        Clients of weight 0 do not report; see `Reporting`. Unless `weighted`, all others count the same. Where clients
        add the noise that makes the model private, each of them has to: one without an update sends zero and its noise.
        """
        from tensorflow_federated.python.aggregators.factory_utils import as_weighted_aggregator

        from fedcli.aggregators.processes.reporting import Reporting

        factory = self.aggregator.build(weighted=weighted)
        factory = factory if weighted else as_weighted_aggregator(factory)
        return factory if self.aggregator.clients_add_noise else Reporting(factory)

    def compose(
        self,
        client_work: tff.learning.templates.ClientWorkProcess,
        *,
        weighted: bool,
        shared: SharedPart | None = None,
    ) -> tff.learning.templates.LearningProcess:
        """Puts the clients' work between distributor, aggregator and server optimizer.

        As `tff.learning.algorithms` composes its processes, which take no clients with another model.

        Args:
            client_work: From the model that clients get to their updates: what is to be subtracted from it.
            weighted: Whether the weights count that it gives to clients.
            shared: The part of the model that is sent, updated and has updates; None for the whole.
        """
        import tensorflow_federated as tff

        model_fn = self.model_fn
        sent_fn = model_fn if shared is None else shared.model_fn
        if self.attack is not None:
            from fedcli.algorithms.processes.attacked_work import attacked_client_work

            client_work = attacked_client_work(client_work, self.attack)
        distribution = self.distributor.build(sent_fn)
        finalizer = tff.learning.templates.build_apply_optimizer_finalizer(
            self.server_optimizer.build(), tff.learning.models.weights_type_from_model(sent_fn)
        )
        if shared is not None:
            distribution, finalizer = shared.distribution(distribution), shared.finalizer(finalizer)
        return tff.learning.templates.compose_learning_process(
            tff.tensorflow.computation(lambda: tff.learning.models.ModelWeights.from_model(model_fn())),
            distribution,
            client_work,
            self.distributor.aggregation(sent_fn, self.factory(weighted=weighted)),
            finalizer,
        )


@dataclass(frozen=True)
class AlgorithmConfig(Component, ABC):
    """An algorithm and its keys."""

    #: Whether clients may train sub-models of the server's model, as `DistributorConfig.trains_sub_models` says.
    takes_sub_models: ClassVar[bool] = False
    #: Whether `client_optimizer` takes the clients' steps; else the config's is not used.
    uses_client_optimizer: ClassVar[bool] = True
    #: Whether a client keeps something from one round in which it takes part to the next.
    clients_keep_state: ClassVar[bool] = False
    #: Whether the aggregated updates, and training metrics, are all that the server learns from clients, whose work
    #: `Parts.compose` puts together.
    sends_only_updates: ClassVar[bool] = False
    #: Whether both learning rates are taken from the server's state in each round, and nowhere else.
    takes_rates_from_state: ClassVar[bool] = False

    @property
    def counts_by_weight(self) -> bool:
        """Whether clients count by a weight in the mean of their updates; else all count the same."""
        return False

    @property
    def batches_needed(self) -> int:
        """How many batches a client needs to train on anything."""
        return 1

    @property
    def reconstruction(self) -> AlgorithmConfig | None:
        """How a client makes its own model of the server's, where that alone is none to evaluate; None where it is.

        With one client, a plain mean and a server's learning rate of 1, the state's next model is the client's own.
        """
        return None

    def computed_examples(self, num_examples: int, batch_size: int) -> int:
        """Counts the examples for which a client computes a gradient in a round: the work that simulated time measures.

        An example counts once for each pass in which the client computes its gradient. Override this where clients pass
        over their examples more often than `dataset.client_epochs` says, or over a part of them.

        Args:
            num_examples: Examples of all batches that the client gets; each counts in every epoch.
            batch_size: Examples in each batch but the last, which may have fewer.
        """
        return num_examples

    def check_data(self, dataset: DatasetConfig, partition: PartitionConfig) -> None:
        """Refuses data that the algorithm cannot work with.

        Raises:
            ConfigError: It cannot.
        """

    def check_optimizer(self, client_optimizer: OptimizerConfig) -> None:
        """Refuses a client optimizer that the algorithm cannot work with.

        Raises:
            ConfigError: It cannot.
        """

    @abstractmethod
    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process: `initialize` makes the server's state, `next` is one round.

        The state has the model in `global_model_weights`, and the metrics have `client_work/train/...`, as
        `tff.learning` lays them out.
        """
