"""Attackers send the opposite of their update.

Li et al. 2019, "RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed Learning from Heterogeneous
Datasets", https://arxiv.org/abs/1811.03761.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.attacks import attacks
from fedcli.attacks.base import UpdateAttack
from fedcli.ranges import Positive

if TYPE_CHECKING:
    import tensorflow as tf


@attacks.register("sign_flip")
@dataclass(frozen=True)
class SignFlip(UpdateAttack):
    """They undo the work of as many honest clients, or of `factor` times as many.

    Attributes:
        factor: How long the opposite is, in lengths of the update.
    """

    name: str = "sign_flip"
    factor: Positive = 1.0

    def update(self, tensor: tf.Tensor) -> tf.Tensor:
        """Flips the sign; see the base class."""
        return -self.factor * tensor
