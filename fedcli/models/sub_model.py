"""Sub-models: networks with fewer hidden units, whose weights are parts of a model's weights.

Caldas et al. 2018, "Expanding the Reach of Federated Learning by Reducing Client Resource Requirements",
https://arxiv.org/abs/1812.07210, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from fedcli.datasets.base import DataSpec

if TYPE_CHECKING:
    import tensorflow as tf

#: Builds a network from the data's form, the size of each hidden layer, and what each one's outputs are multiplied by.
Network: TypeAlias = "Callable[[DataSpec, Sequence[int], Sequence[float]], tf.keras.Model]"


@dataclass(frozen=True)
class Units:
    """An axis of a weight that is indexed by the units (or filters) of a hidden layer.

    Attributes:
        layer: The hidden layer, from 0.
        positions: How often the layer's units follow each other along the axis: 1, or the pixels of a flattened image.
    """

    layer: int
    positions: int = 1


@dataclass(frozen=True)
class SubModel:
    """How a model is thinned; the inputs and the outputs are always whole.

    The outputs of a thinned layer are multiplied by the inverse of the kept share, as in (inverted) dropout: the next
    layer's sums then have the expectation that they have in the whole model, which is what the server evaluates.

    Attributes:
        units: Units of each hidden layer.
        kept: How many of them the sub-model has.
        axes: For each trainable weight, in the network's order, and each of its axes: whose units it is indexed by.
        network: Builds networks.
    """

    units: tuple[int, ...]
    kept: tuple[int, ...]
    axes: tuple[tuple[Units | None, ...], ...]
    network: Network

    @classmethod
    def keeping(
        cls, share: float, units: Sequence[int], axes: Sequence[tuple[Units | None, ...]], network: Network
    ) -> SubModel:
        """Describes the sub-model that keeps a share, in (0, 1], of each hidden layer; at least one unit."""
        return cls(tuple(units), tuple(max(round(share * size), 1) for size in units), tuple(axes), network)

    def build(self, spec: DataSpec) -> tf.keras.Model:
        """Builds the network with the kept units; see `ModelConfig.build`."""
        scales = [size / kept for size, kept in zip(self.units, self.kept, strict=True)]
        return self.network(spec, self.kept, scales)

    def compute_fraction(self, spec: DataSpec) -> float:
        """Returns how many multiplications an example takes, as a fraction of the whole model's."""
        import tensorflow as tf

        # A graph of its own: nothing is initialized in it.
        with tf.Graph().as_default():
            whole = self.network(spec, self.units, [1.0] * len(self.units))
            return _multiplications(self.build(spec)) / _multiplications(whole)


def _multiplications(network: tf.keras.Model) -> int:
    """Counts the multiplications of an example's forward pass: each weight multiplies at each position of the outputs.

    A dense layer has one position, a convolution one for each pixel. The backward pass of a layer takes twice as many.
    """
    return sum(
        math.prod(weight.shape) * math.prod(layer.output_shape[1:-1])
        for layer in network.layers
        for weight in layer.trainable_weights
        if len(weight.shape) > 1  # biases are added
    )
