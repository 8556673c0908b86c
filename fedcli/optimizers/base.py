"""What an optimizer is to the rest of fedcli."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.ranges import LearningRate, Range
from fedcli.registry import Component

if TYPE_CHECKING:
    import tensorflow_federated as tff

#: The constant in an optimizer's denominator. One much larger than gradients makes steps of no size.
Epsilon = Annotated[float, Range(0.0, 1e3)]


@dataclass(frozen=True)
class OptimizerConfig(Component, ABC):
    """Keys that every optimizer has.

    Attributes:
        learning_rate: Step size.
    """

    #: Whether the optimizer's state has the learning rate as `learning_rate`, and steps take it from there.
    keeps_rate_in_state: ClassVar[bool] = False

    learning_rate: LearningRate = 0.1

    @abstractmethod
    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
