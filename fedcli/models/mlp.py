"""A multilayer perceptron, the smaller network ("2NN") of the FedAvg paper.

McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3: two hidden layers of 200 units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models import models
from fedcli.models.base import ModelConfig
from fedcli.models.sub_model import SubModel, Units

if TYPE_CHECKING:
    import tensorflow as tf


@models.register("mlp")
@dataclass(frozen=True)
class MLP(ModelConfig):
    """Dense layers with ReLU on the flattened image, or on the row of a table.

    199,210 parameters with the paper's sizes, for its 28x28 images in 10 classes.

    Attributes:
        hidden_units: Units of each hidden layer.
    """

    kind: ClassVar[str] = "image"

    name: str = "mlp"
    hidden_units: list[int] = field(default_factory=lambda: [200, 200])

    @classmethod
    def takes(cls, kind: str) -> bool:
        """Takes rows of a table too: the columns are its inputs."""
        return kind in ("image", "table")

    def problems(self) -> Iterator[tuple[str, str]]:
        """A layer has at least one unit."""
        if any(units < 1 for units in self.hidden_units):
            yield "hidden_units", "must be a list of layer sizes of at least 1, such as [200,200]"

    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network; see the base class."""
        return _network(spec, self.hidden_units, [1.0] * len(self.hidden_units))

    def sub_model(self, spec: DataSpec, share: float) -> SubModel:
        """Thins the hidden layers; see the base class."""
        if not self.hidden_units:
            raise ConfigError("model.hidden_units=[]: there are no hidden units to leave out", "add a hidden layer")
        axes: list[tuple[Units | None, ...]] = []
        inputs = None
        for layer in range(len(self.hidden_units)):
            axes += [(inputs, Units(layer)), (Units(layer),)]
            inputs = Units(layer)
        return SubModel.keeping(share, self.hidden_units, [*axes, (inputs, None), (None,)], _network)


def _network(spec: DataSpec, units: Sequence[int], scales: Sequence[float]) -> tf.keras.Model:
    """Builds the network with hidden layers of so many units, whose outputs are scaled; see `SubModel`."""
    import tensorflow as tf

    layers = tf.keras.layers
    hidden: list[tf.keras.layers.Layer] = []
    for size, scale in zip(units, scales, strict=True):
        hidden.append(layers.Dense(size, activation="relu"))
        if scale != 1:
            hidden.append(layers.Rescaling(scale))
    return tf.keras.Sequential(
        [layers.InputLayer(spec.x_shape), layers.Flatten(), *hidden, layers.Dense(spec.num_classes)]
    )
