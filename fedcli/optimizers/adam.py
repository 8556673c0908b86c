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

    Step t (from 1) along the gradient g, as TFF computes it, m and v being 0 at first:

        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g^2
        w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    This is the form at the end of section 2 of Kingma & Ba: epsilon is added before the bias of v is corrected.
    Algorithm 2 of Reddi et al. has no correction of the bias: its steps lack the factor of t. With their beta_1 = 0.9
    and beta_2 = 0.99 the factor is 1 in round 1, 0.47 in round 13 and above 0.99 from round 400 on.

    Attributes:
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the root of v; the tau of FedAdam, of which the authors recommend 1e-3.
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
