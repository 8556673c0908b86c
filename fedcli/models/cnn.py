"""The convolutional network of the FedAvg paper, as the TFF compression study uses it.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
https://arxiv.org/abs/1602.05629, section 3: 1,663,370 parameters with 10 classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.models import models
from fedcli.models.base import ModelConfig
from fedcli.models.size import ModelSize
from fedcli.models.sub_model import SubModel, Units

if TYPE_CHECKING:
    import tensorflow as tf

#: Channels of the convolutions, units of the dense layer.
_HIDDEN = (32, 64, 512)


@models.register("cnn")
@dataclass(frozen=True)
class CNN(ModelConfig):
    """Two 5x5 convolutions (32 and 64 channels), each max-pooled by 2, and a dense layer of 512.

    1,663,370 parameters with 10 classes, 1,690,046 with 62. The output is logits: the study ends in a softmax,
    of which Keras takes the logits again to compute the loss.
    """

    kind: ClassVar[str] = "image"

    name: str = "cnn"

    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network; see the base class."""
        return _network(spec, _HIDDEN, [1.0] * len(_HIDDEN))

    def size(self, spec: DataSpec) -> ModelSize:
        """Counts the layers' weights and outputs."""
        height, width, channels = spec.x_shape
        first, second, dense = _HIDDEN
        half, quarter = -(-height // 2) * -(-width // 2), -(-height // 4) * -(-width // 4)  # pixels after pooling
        parameters = (25 * channels + 1) * first + (25 * first + 1) * second
        parameters += (quarter * second + 1) * dense + (dense + 1) * spec.num_classes
        activations = (height * width + half) * first + (half + quarter) * second + dense + spec.num_classes
        return ModelSize(parameters, activations)

    def sub_model(self, spec: DataSpec, share: float) -> SubModel:
        """Thins the convolutions and the dense layer; see the base class."""
        height, width, _ = spec.x_shape
        first, second, dense = Units(0), Units(1), Units(2)
        pixels = Units(1, positions=-(-height // 4) * -(-width // 4))  # after two poolings by 2
        axes: list[tuple[Units | None, ...]] = [
            (None, None, None, first),
            (first,),
            (None, None, first, second),
            (second,),
            (pixels, dense),
            (dense,),
            (dense, None),
            (None,),
        ]
        return SubModel.keeping(share, _HIDDEN, axes, _network)


def _network(spec: DataSpec, hidden: Sequence[int], scales: Sequence[float]) -> tf.keras.Model:
    """Builds the network with hidden layers of so many channels and units, whose outputs are scaled; see `SubModel`."""
    import tensorflow as tf

    layers = tf.keras.layers
    scaled = [[layers.Rescaling(scale)] if scale != 1 else [] for scale in scales]
    return tf.keras.Sequential(
        [
            layers.InputLayer(spec.x_shape),
            layers.Conv2D(hidden[0], 5, padding="same", activation="relu"),
            layers.MaxPool2D(padding="same"),
            *scaled[0],  # the same as before the pooling, for a quarter of the numbers
            layers.Conv2D(hidden[1], 5, padding="same", activation="relu"),
            layers.MaxPool2D(padding="same"),
            *scaled[1],
            layers.Flatten(),
            layers.Dense(hidden[2], activation="relu"),
            *scaled[2],
            layers.Dense(spec.num_classes),
        ]
    )
