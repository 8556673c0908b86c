"""The whole model to every sampled client, 32 bits a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.distributors import distributors
from fedcli.distributors.base import DistributorConfig

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from fedcli.models.base import ModelFn


@distributors.register("broadcast")
@dataclass(frozen=True)
class Broadcast(DistributorConfig):
    """TFF's `federated_broadcast` of the model."""

    name: str = "broadcast"

    def build(self, model_fn: ModelFn) -> tff.learning.templates.DistributionProcess:
        """Builds TFF's process; see the base class."""
        import tensorflow_federated as tff

        return tff.learning.templates.build_broadcast_process(tff.learning.models.weights_type_from_model(model_fn))
