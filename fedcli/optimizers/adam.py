"""Adam: Kingma & Ba 2015, https://arxiv.org/abs/1412.6980."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.optimizers import optimizers
from fedcli.optimizers.base import Epsilon, OptimizerConfig
from fedcli.ranges import Decay

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers.register("adam")
@dataclass(frozen=True)
class Adam(OptimizerConfig):
    """Adam. On the server this is FedAdam (Reddi et al. 2021, https://arxiv.org/abs/2003.00295).

    Attributes:
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the denominator (FedAdam: 1e-3).
    """

    keeps_rate_in_state = True

    name: str = "adam"
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Epsilon = 1e-7

    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
        import tensorflow_federated as tff

        return tff.learning.optimizers.build_adam(
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
