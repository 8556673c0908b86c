"""Which weights of a model belong to layers that stay with the clients."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig, ModelFn
from fedcli.suggest import did_you_mean

_KEY = "algorithm.local_layers"


def local_positions(model_fn: ModelFn, names: Sequence[str] | None) -> tuple[int, ...]:
    """Finds the weights of layers among a model's trainable weights.

    Args:
        model_fn: Builds the model.
        names: Names of Keras layers, as a new graph gives them (`dense`, `dense_1`, ...); None for the last layer that
            has weights.

    Returns:
        Positions, ascending.

    Raises:
        ConfigError: There is no such layer, all weights are in such layers, or one has weights that are not trained.
    """
    model = model_fn.model
    assert isinstance(model, ModelConfig)  # sub-models are refused
    # A graph of its own: Keras counts layers of a kind by graph.
    with tf.Graph().as_default():
        network = model.build(model_fn.spec)
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    if not layers:
        raise ConfigError(f"{_KEY}: model={model.name} has no layers with weights", "choose another model")
    listed = f"layers of model={model.name} with weights: {', '.join(layers)}"
    chosen = [next(reversed(layers))] if names is None else names
    for name in chosen:
        if name not in layers:
            raise ConfigError(
                f"{_KEY}: model={model.name} has no layer {name} with weights",
                did_you_mean(name, layers, "layers with weights"),
            )
        if count := len(layers[name].non_trainable_weights):
            raise ConfigError(
                f"{_KEY}: layer {name} has {count} weights that are not trained, such as moving averages, "
                "which cannot be reconstructed by gradients",
                f"leave it with the server; {listed}",
            )
    local = {weight.ref() for name in chosen for weight in layers[name].trainable_weights}
    positions = tuple(i for i, weight in enumerate(network.trainable_weights) if weight.ref() in local)
    if len(positions) == len(network.trainable_weights):
        raise ConfigError(
            f"{_KEY}: all weights of model={model.name} are in {', '.join(chosen)}: nothing is left to learn together",
            f"name fewer layers, or choose a model with more; {listed}",
        )
    return positions
