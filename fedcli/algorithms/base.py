"""What an algorithm is to the rest of fedcli: a `tff.learning` process made from its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators.base import AggregatorConfig
from fedcli.distributors.base import DistributorConfig
from fedcli.optimizers.base import OptimizerConfig
from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.models.base import ModelFn


@dataclass(frozen=True)
class Parts:
    """What an algorithm puts together.

    Attributes:
        model_fn: Builds the model in the graph in which it is called.
        client_optimizer: Takes the local steps.
        server_optimizer: Takes the step along the aggregated update.
        aggregator: Client to server.
        distributor: Server to client.
    """

    model_fn: ModelFn
    client_optimizer: OptimizerConfig
    server_optimizer: OptimizerConfig
    aggregator: AggregatorConfig
    distributor: DistributorConfig


@dataclass(frozen=True)
class AlgorithmConfig(Component, ABC):
    """An algorithm and its keys."""

    #: Whether clients may train sub-models of the server's model, as `DistributorConfig.trains_sub_models` says.
    takes_sub_models: ClassVar[bool] = False

    @abstractmethod
    def build(self, parts: Parts) -> tff.learning.templates.LearningProcess:
        """Builds the process: `initialize` makes the server's state, `next` is one round.

        The state has the model in `global_model_weights`, and the metrics have `client_work/train/...`, as
        `tff.learning` lays them out.
        """
