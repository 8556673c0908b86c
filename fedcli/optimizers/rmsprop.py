"""RMSprop: Tieleman & Hinton 2012, "Lecture 6.5: RMSProp", Coursera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.optimizers import optimizers
from fedcli.optimizers.base import Epsilon, OptimizerConfig
from fedcli.ranges import Decay

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers.register("rmsprop")
@dataclass(frozen=True)
class RMSprop(OptimizerConfig):
    """RMSprop.

    A step along the gradient g, as TFF computes it, v being 0 at first:

        v = decay * v + (1 - decay) * g^2
        w = w - learning_rate * g / (sqrt(v) + epsilon)

    Attributes:
        decay: Decay of the mean of squared gradients.
        epsilon: Added to the root of v.
    """

    keeps_rate_in_state = True

    name: str = "rmsprop"
    decay: Decay = 0.9
    epsilon: Epsilon = 1e-7

    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
        import tensorflow_federated as tff

        return tff.learning.optimizers.build_rmsprop(
            learning_rate=self.learning_rate,
            decay=self.decay,
            epsilon=self.epsilon,
        )
