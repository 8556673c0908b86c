"""The whole model to every sampled client, 32 bits a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.distributors import distributors
from fedcli.distributors.base import DistributorConfig

if TYPE_CHECKING:
    import tensorflow_federated as tff


@distributors.register("broadcast")
@dataclass(frozen=True)
class Broadcast(DistributorConfig):
    """TFF's `federated_broadcast` of the model."""

    name: str = "broadcast"

    def build(self, model_fn: Callable[[], tff.learning.models.VariableModel]) -> None:
        """TFF's learning algorithms broadcast where they get no distributor."""
