"""What an optimizer is to the rest of fedcli."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class OptimizerConfig(Component, ABC):
    """Keys that every optimizer has.

    Attributes:
        learning_rate: Step size.
    """

    #: Whether the optimizer's state has the learning rate as `learning_rate`, and steps take it from there.
    keeps_rate_in_state: ClassVar[bool] = False

    learning_rate: float = 0.1

    def problems(self) -> Iterator[tuple[str, str]]:
        """The learning rate is positive, decays are below 1, the rest is not negative."""
        if not 0 < self.learning_rate < math.inf:
            yield "learning_rate", "must be a positive number"
        for field in ("momentum", "beta_1", "beta_2", "decay"):
            if not 0 <= getattr(self, field, 0.0) < 1:
                yield field, "must be at least 0 and below 1"
        for field in ("epsilon", "weight_decay", "initial_preconditioner_value"):
            if not getattr(self, field, 0.0) >= 0:
                yield field, "must not be negative"

    @abstractmethod
    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
