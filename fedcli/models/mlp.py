"""A multilayer perceptron, the smaller network ("2NN") of the FedAvg paper.

McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3: two hidden layers of 200 units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models import models
from fedcli.models.base import ModelConfig
from fedcli.models.size import ModelSize
from fedcli.models.sub_model import SubModel, Units
from fedcli.ranges import Count

if TYPE_CHECKING:
    import tensorflow as tf

#: With more, building the graph takes minutes.
_MOST_LAYERS = 100


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
    hidden_units: list[Count] = field(default_factory=lambda: [200, 200])

    @classmethod
    def takes(cls, kind: str) -> bool:
        """Takes rows of a table too: the columns are its inputs."""
        return kind in ("image", "table")

    def problems(self) -> Iterator[tuple[str, str]]:
        """There are not too many layers."""
        yield from super().problems()
        if len(self.hidden_units) > _MOST_LAYERS:
            yield "hidden_units", f"must be a list of at most {_MOST_LAYERS} layer sizes, such as [200,200]"

    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network; see the base class."""
        return _network(spec, self.hidden_units, [1.0] * len(self.hidden_units))

    def size(self, spec: DataSpec) -> ModelSize:
        """Counts the dense layers' weights and outputs."""
        sizes = [math.prod(spec.x_shape), *self.hidden_units, spec.num_classes]
        return ModelSize(sum((inputs + 1) * units for inputs, units in pairwise(sizes)), sum(sizes))

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
