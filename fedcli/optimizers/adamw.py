"""AdamW: Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.optimizers import optimizers
from fedcli.optimizers.base import Epsilon, OptimizerConfig
from fedcli.ranges import Decay, Range

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers.register("adamw")
@dataclass(frozen=True)
class AdamW(OptimizerConfig):
    """Adam with weight decay apart from the gradient.

    A step is that of `Adam`, with its correction of the bias, and takes learning_rate * weight_decay * w off.

    Attributes:
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the root of the mean of squared gradients.
        weight_decay: Fraction of a weight that a step takes off where the learning rate is 1.
    """

    keeps_rate_in_state = True

    name: str = "adamw"
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Epsilon = 1e-7
    weight_decay: Annotated[float, Range(0.0, 1e3)] = 0.004

    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
        import tensorflow_federated as tff

        return tff.learning.optimizers.build_adamw(
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )
