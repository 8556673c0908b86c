"""What a distributor is to the rest of fedcli: how the server's model reaches the clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class DistributorConfig(Component, ABC):
    """A distributor and its keys."""

    @abstractmethod
    def build(
        self, model_fn: Callable[[], tff.learning.models.VariableModel]
    ) -> tff.learning.templates.DistributionProcess | None:
        """Builds TFF's process, or None for TFF's plain broadcast."""
