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

    Attributes:
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the denominator.
        initial_preconditioner_value: Start of the mean of squared gradients.
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
