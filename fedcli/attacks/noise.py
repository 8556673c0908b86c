"""Attackers send noise, or add it to their update.

Blanchard et al. 2017, "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent",
https://papers.nips.cc/paper/6617-machine-learning-with-adversaries-byzantine-tolerant-gradient-descent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.attacks import attacks
from fedcli.attacks.base import UpdateAttack
from fedcli.ranges import Positive

if TYPE_CHECKING:
    import tensorflow as tf


@attacks.register("noise")
@dataclass(frozen=True)
class Noise(UpdateAttack):
    """Independent normal numbers of mean 0, drawn anew by each attacker in each round from the run's seed.

    Attributes:
        standard_deviation: Of each number.
        replace: Whether the noise is all that is sent, as in the paper, or is added to the update.
    """

    name: str = "noise"
    standard_deviation: Positive = 1.0
    replace: bool = True

    def update(self, tensor: tf.Tensor) -> tf.Tensor:
        """Draws the noise; see the base class."""
        import tensorflow as tf

        noise = tf.random.normal(tf.shape(tensor), 0.0, self.standard_deviation, tensor.dtype)
        return noise if self.replace else tensor + noise
