"""SGD: Polyak 1964, "Some methods of speeding up the convergence of iteration methods"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.optimizers import optimizers
from fedcli.optimizers.base import OptimizerConfig
from fedcli.ranges import Decay

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers.register("sgd")
@dataclass(frozen=True)
class SGD(OptimizerConfig):
    """Stochastic gradient descent, with momentum where asked.

    A step along the gradient g: velocity = momentum * velocity + g, and w = w - learning_rate * velocity. On the
    server, with a momentum, this is FedAvgM (Hsu et al. 2019, https://arxiv.org/abs/1909.06335).

    Attributes:
        momentum: Decay of the velocity; 0 for plain SGD.
    """

    keeps_rate_in_state = True

    name: str = "sgd"
    momentum: Decay = 0.0

    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
        import tensorflow_federated as tff

        return tff.learning.optimizers.build_sgdm(
            learning_rate=self.learning_rate,
            # None, not 0: TFF then keeps no velocity in the state.
            momentum=self.momentum or None,
        )
