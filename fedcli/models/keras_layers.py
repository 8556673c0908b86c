"""The layers of a Keras file: which are known, and how the forms of older Keras versions are brought to one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError

#: The layers that are read, and the names of their weights in Keras's order.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "InputLayer": (),
    "Embedding": ("embeddings",),
    "GRU": ("kernel", "recurrent_kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "Conv2D": ("kernel", "bias"),
    "MaxPooling2D": (),
    "Flatten": (),
    "Dropout": (),
    "Softmax": (),
}
#: Layers from other places than Keras are code that the file's author wrote.
_KERAS_MODULES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
_KNOWN_HINT = f"fedcli reads sequential models of {', '.join(LAYERS)}; it runs no code from a file"
#: Keras 1's names of keys, and Keras 2's. Embedding's have not changed.
_KEYS_OF_KERAS_1 = {
    "Dense": {"output_dim": "units", "bias": "use_bias"},
    "GRU": {"output_dim": "units", "inner_activation": "recurrent_activation"},
}
#: Layers that Keras 1 called otherwise.
_NAMES_OF_KERAS_1 = ("Convolution1D", "Convolution2D", "MaxoutDense", "TimeDistributedDense", "Highway")
_CHANGES_ACTIVATION = ("Dense", "Conv2D")


@dataclass(frozen=True)
class Layer:
    """One layer of a file.

    Attributes:
        kind: Its class, one of `LAYERS`.
        config: Its description, in the form of Keras 2.
        weights: float32, in Keras's order.
    """

    kind: str
    config: Mapping[str, Any]
    weights: tuple[NDArray[np.float32], ...]


def read_description(path: Path, model: Any) -> list[tuple[str, dict[str, Any]]]:
    """Checks a model's description and brings the layers to the form of Keras 2.

    Args:
        path: The file, for messages.
        model: The model's description, as Keras wrote it.

    Returns:
        The class and the description of each layer. A `TimeDistributed` layer is the layer that it applies at each
        position; the activation of an `Activation` layer is that of the layer before it, or a `Softmax`.

    Raises:
        ConfigError: It is something else than a sequence of known layers.
    """
    _refuse_foreign(path, model)
    if model["class_name"] != "Sequential":
        raise ConfigError(f"{path} holds a model of class {_shown(model['class_name'])}", _KNOWN_HINT)
    config = model["config"]
    entries = config if isinstance(config, list) else config["layers"]  # a bare list until Keras 2.2.3
    # Keras 3 writes the model's own flag too: without it no layer is trained.
    frozen = {} if isinstance(config, list) or config.get("trainable", True) else {"trainable": False}
    layers: list[tuple[str, dict[str, Any]]] = []
    for entry in entries:
        kind = entry["class_name"]
        if kind == "Activation":
            _refuse_foreign(path, entry)
            _add_activation(path, layers, entry["config"]["activation"])
            continue
        if kind == "TimeDistributed" and entry["config"]["layer"]["class_name"] == "Dense":
            _refuse_foreign(path, entry)
            entry = _applied_at_each_position(entry["config"])
            kind = "Dense"
        if kind in _NAMES_OF_KERAS_1:
            raise ConfigError(
                f"{path} was saved by Keras 1: it has a layer of class {_shown(kind)}",
                "load it with Keras 2 (tf.keras of TensorFlow 1.4 to 2.15) and save it again",
            )
        if kind not in LAYERS:
            raise ConfigError(f"{path} has a layer of class {_shown(kind)}", _KNOWN_HINT)
        _refuse_foreign(path, entry)
        layers.append((kind, {**_in_keras_2(kind, entry["config"]), **frozen}))
    return layers


def has_weights(kind: str) -> bool:
    """Says whether layers of a class have weights."""
    return bool(LAYERS[kind])


def weights_in_keras_2(kind: str, weights: tuple[NDArray[np.float32], ...]) -> tuple[NDArray[np.float32], ...]:
    """Returns the weights of a layer in the order of Keras 2: Keras 1 keeps the gates of a GRU apart."""
    if kind == "GRU" and len(weights) == 9:
        # W, U and b of the gates z, r and h: keras/engine/topology.py, preprocess_weights_for_loading.
        return tuple(np.concatenate(weights[start::3], axis=-1) for start in range(3))
    return weights


def _applied_at_each_position(wrapper: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the Dense layer of a TimeDistributed layer: it applies at each position of a sequence by itself."""
    entry = wrapper["layer"]
    flags = {"trainable": False} if not wrapper.get("trainable", True) else {}
    return {**entry, "config": {**entry["config"], "name": wrapper["name"], **flags}}


def _in_keras_2(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    keys = _KEYS_OF_KERAS_1.get(kind, {})
    result = {keys.get(key, key): value for key, value in config.items()}
    if result.get("activation") == "softmax_v2":  # what TensorFlow 2's own function is called
        result["activation"] = "softmax"
    return result


def _add_activation(path: Path, layers: list[tuple[str, dict[str, Any]]], activation: Any) -> None:
    """Brings an Activation layer to the form that fedcli's models have."""
    if activation == "linear":
        return
    if activation in ("softmax", "softmax_v2"):
        layers.append(("Softmax", {"name": "activation"}))
        return
    kind, config = layers[-1] if layers else ("", {})
    if kind not in _CHANGES_ACTIVATION or config.get("activation", "linear") != "linear":
        raise ConfigError(
            f"{path} has a layer of class Activation ({_shown(activation)}) after {kind or 'nothing'}", _KNOWN_HINT
        )
    config["activation"] = activation


def _refuse_foreign(path: Path, entry: Mapping[str, Any]) -> None:
    module, registered = entry.get("module"), entry.get("registered_name")
    root = str(module or "keras")
    if not any(root == known or root.startswith(f"{known}.") for known in _KERAS_MODULES):
        raise ConfigError(f"{path} needs code from {_shown(module)} (class {_shown(entry['class_name'])})", _KNOWN_HINT)
    if registered not in (None, entry["class_name"]):
        raise ConfigError(f"{path} has a custom object, {_shown(registered)}", _KNOWN_HINT)


def _shown(name: object) -> str:
    """Returns a name from a file as a message shows it: short, and without control characters."""
    text = "".join(c if c.isprintable() else "?" for c in str(name))
    return text if len(text) <= 60 else f"{text[:60]}..."
