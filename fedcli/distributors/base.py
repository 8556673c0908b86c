"""What a distributor is to the rest of fedcli: how the server's model reaches the clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.datasets.base import DataSpec
    from fedcli.models.base import ModelConfig, ModelFn


@dataclass(frozen=True)
class DistributorConfig(Component, ABC):
    """A distributor and its keys."""

    #: Whether clients train another model than the server's: then `client_model_fn` and `aggregation` say which.
    trains_sub_models: ClassVar[bool] = False

    @property
    def clients_keep_state(self) -> bool:
        """Whether a client is taken to keep the model that it last had; else each sampled client is new."""
        return False

    @abstractmethod
    def build(self, model_fn: ModelFn) -> tff.learning.templates.DistributionProcess:
        """Builds TFF's process: from the server's model to the model that clients train."""

    def check_model(self, model: ModelConfig, spec: DataSpec) -> None:
        """Refuses a model that cannot be distributed so.

        Raises:
            ConfigError: It cannot.
        """

    def client_model_fn(self, model_fn: ModelFn) -> ModelFn:
        """Returns what builds the model that clients train."""
        return model_fn

    def compute_fraction(self, model: ModelConfig, spec: DataSpec) -> float:
        """Returns the work of training an example on the clients' model, as a fraction of that on the server's model.

        Simulated time depends on it.
        """
        return 1.0

    def aggregation(
        self, model_fn: ModelFn, factory: tff.aggregators.WeightedAggregationFactory
    ) -> tff.templates.AggregationProcess:
        """Builds the process from the updates of the clients' model to an update of the server's.

        Args:
            model_fn: Builds the server's model.
            factory: Makes processes that aggregate updates.
        """
        import numpy as np
        import tensorflow_federated as tff

        return factory.create(
            tff.learning.models.weights_type_from_model(model_fn).trainable, tff.TensorType(np.float32)
        )
