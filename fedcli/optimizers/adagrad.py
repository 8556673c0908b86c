"""Adagrad: Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.optimizers import optimizers
from fedcli.optimizers.base import Epsilon, OptimizerConfig
from fedcli.ranges import Range

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers.register("adagrad")
@dataclass(frozen=True)
class Adagrad(OptimizerConfig):
    """Adagrad. On the server this is FedAdagrad (Reddi et al. 2021, https://arxiv.org/abs/2003.00295).

    A step along the gradient g, as TFF computes it:

        s = s + g^2
        w = w - learning_rate * g / sqrt(s + epsilon)

    Duchi et al. and Reddi et al. add their constant to the root instead: sqrt(s) + tau. With epsilon = tau^2 both
    denominators are tau where s is 0, and agree where s is large.

    Attributes:
        initial_preconditioner_value: Start of s, the sum of squared gradients.
        epsilon: Added to s under the root.
    """

    keeps_rate_in_state = True

    name: str = "adagrad"
    initial_preconditioner_value: Annotated[float, Range(0.0, 1e6)] = 0.1
    epsilon: Epsilon = 1e-7

    def build(self) -> tff.learning.optimizers.Optimizer:
        """Builds TFF's optimizer."""
        import tensorflow_federated as tff

        return tff.learning.optimizers.build_adagrad(
            learning_rate=self.learning_rate,
            initial_preconditioner_value=self.initial_preconditioner_value,
            epsilon=self.epsilon,
        )
