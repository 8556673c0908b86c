"""A multilayer perceptron, the smaller network ("2NN") of the FedAvg paper.

McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3: two hidden layers of 200 units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.models import models
from fedcli.models.base import ModelConfig

if TYPE_CHECKING:
    import tensorflow as tf


@models.register("mlp")
@dataclass(frozen=True)
class MLP(ModelConfig):
    """Dense layers with ReLU on the flattened image; 199,210 parameters with the paper's sizes, 10 classes.

    Attributes:
        hidden_units: Units of each hidden layer.
    """

    kind: ClassVar[str] = "image"

    name: str = "mlp"
    hidden_units: list[int] = field(default_factory=lambda: [200, 200])

    def problems(self) -> Iterator[tuple[str, str]]:
        """A layer has at least one unit."""
        if any(units < 1 for units in self.hidden_units):
            yield "hidden_units", "must be a list of layer sizes of at least 1, such as [200,200]"

    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network; see the base class."""
        import tensorflow as tf

        layers = tf.keras.layers
        return tf.keras.Sequential(
            [
                layers.InputLayer(spec.x_shape),
                layers.Flatten(),
                *(layers.Dense(units, activation="relu") for units in self.hidden_units),
                layers.Dense(spec.num_classes),
            ]
        )
