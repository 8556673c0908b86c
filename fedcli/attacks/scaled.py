"""Attackers send their update many times as long, so that the mean is mostly theirs.

Bagdasaryan et al. 2020, "How To Backdoor Federated Learning", https://arxiv.org/abs/1807.00459 (model
replacement; here what they have trained is honest).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.attacks import attacks
from fedcli.attacks.base import UpdateAttack
from fedcli.ranges import Range

if TYPE_CHECKING:
    import tensorflow as tf


@attacks.register("scaled")
@dataclass(frozen=True)
class Scaled(UpdateAttack):
    """The update times a factor.

    Attributes:
        factor: The factor; the paper's is the number of clients a round over the server's learning rate. Below 0 the
            update is also turned round.
    """

    name: str = "scaled"
    factor: Annotated[float, Range(-1e12, 1e12)] = 10.0

    def update(self, tensor: tf.Tensor) -> tf.Tensor:
        """Scales it; see the base class."""
        return self.factor * tensor
