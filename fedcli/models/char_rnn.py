"""The character RNN of the TFF text generation study: Embedding, GRU, Dense."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import DataSpec
from fedcli.models import models
from fedcli.models.base import ModelConfig
from fedcli.models.size import ModelSize
from fedcli.ranges import Count

if TYPE_CHECKING:
    import tensorflow as tf


@models.register("char_rnn")
@dataclass(frozen=True)
class CharRNN(ModelConfig):
    """Predicts the next character at every position; the Dickens model's layers and sizes.

    Embedding(86, 256), GRU(1024), Dense(86): 4,048,470 parameters, or the 4,045,398 of the published checkpoint
    with `reset_after=false`.

    Attributes:
        embedding_dim: Size of a character's embedding.
        units: Size of the GRU's state.
        reset_after: Whether the GRU applies the reset gate after the matrix product. True is Keras's default;
            false is what the published Dickens checkpoint has (Cho et al. 2014, https://arxiv.org/abs/1406.1078).
    """

    kind: ClassVar[str] = "text"

    name: str = "char_rnn"
    embedding_dim: Count = 256
    units: Count = 1024
    reset_after: bool = True

    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network as it is trained: see the base class, and `fedcli.models.engine.gru` for its speed."""
        from fedcli.models.engine.char_network import CharNetwork

        return CharNetwork(spec.num_classes, self.embedding_dim, self.units, self.reset_after)

    def size(self, spec: DataSpec) -> ModelSize:
        """Counts the layers' weights, and their outputs at every position."""
        classes, dim, units = spec.num_classes, self.embedding_dim, self.units
        gates = 3 * units * (dim + units + (2 if self.reset_after else 1))
        parameters = classes * dim + gates + (units + 1) * classes
        return ModelSize(parameters, math.prod(spec.y_shape) * (dim + units + classes))

    def export(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network from Keras's own layers; see the base class."""
        import tensorflow as tf

        layers = tf.keras.layers
        return tf.keras.Sequential(
            [
                # Of any length, not the training's: generation goes character by character.
                layers.InputLayer((None,), dtype=spec.x_dtype),
                layers.Embedding(spec.num_classes, self.embedding_dim),
                layers.GRU(self.units, return_sequences=True, reset_after=self.reset_after),
                layers.Dense(spec.num_classes),
            ]
        )
