"""The convolutional network of the FedAvg paper, as the TFF compression study uses it.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
https://arxiv.org/abs/1602.05629, section 3: 1,663,370 parameters with 10 classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.models import models
from fedcli.models.base import ModelConfig

if TYPE_CHECKING:
    import tensorflow as tf


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
        import tensorflow as tf

        layers = tf.keras.layers
        return tf.keras.Sequential(
            [
                layers.InputLayer(spec.x_shape),
                layers.Conv2D(32, 5, padding="same", activation="relu"),
                layers.MaxPool2D(padding="same"),
                layers.Conv2D(64, 5, padding="same", activation="relu"),
                layers.MaxPool2D(padding="same"),
                layers.Flatten(),
                layers.Dense(512, activation="relu"),
                layers.Dense(spec.num_classes),
            ]
        )
