"""Yogi: Zaheer et al. 2018, "Adaptive Methods for Nonconvex Optimization"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.optimizers import optimizers
from fedcli.optimizers.base import Epsilon, OptimizerConfig
from fedcli.ranges import Decay, Range

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers.register("yogi")
@dataclass(frozen=True)
class Yogi(OptimizerConfig):
    """Yogi. On the server this is FedYogi (Reddi et al. 2021, https://arxiv.org/abs/2003.00295).

    Step t (from 1) along the gradient g, as TFF computes it, m being 0 at first:

        m = beta_1 * m + (1 - beta_1) * g
        v = v - (1 - beta_2) * sign(v - g^2) * g^2
        w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    Neither Zaheer et al. nor algorithm 2 of Reddi et al. corrects the bias: their steps lack the factor of t;
    see `Adam`.

    Attributes:
        beta_1: Decay of the mean of gradients.
        beta_2: Weight of the past in v, the estimate of squared gradients.
        epsilon: Added to the root of v; the tau of FedYogi.
        initial_preconditioner_value: Start of v.
    """

    keeps_rate_in_state = True

    name: str = "yogi"
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Epsilon = 1e-3
    initial_preconditioner_value: Annotated[float, Range(0.0, 1e6)] = 1e-6

    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
        import tensorflow_federated as tff

        return tff.learning.optimizers.build_yogi(
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            initial_preconditioner_value=self.initial_preconditioner_value,
        )
