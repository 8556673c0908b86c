"""Recognises fedcli's models in the layers of a Keras file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError, DataError
from fedcli.models.base import ModelConfig
from fedcli.models.char_rnn import CharRNN
from fedcli.models.cnn import CNN
from fedcli.models.keras_files import Layer
from fedcli.models.mlp import MLP

#: What is expected where nothing fits.
_EXPECTED = "expected Embedding, GRU, Dense (text), or fedcli's cnn or mlp (images)"

#: What fedcli's models have in these layers. A key that an older Keras did not write has its default, the same.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "Embedding": {"mask_zero": False},
    "GRU": {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "return_sequences": True,
        "return_state": False,
        "go_backwards": False,
        "time_major": False,
    },
    "Dense": {"use_bias": True},
    "Conv2D": {
        "kernel_size": [5, 5],
        "strides": [1, 1],
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "use_bias": True,
        "activation": "relu",
    },
    "MaxPooling2D": {"pool_size": [2, 2], "strides": [2, 2], "padding": "same", "data_format": "channels_last"},
}


@dataclass(frozen=True)
class Recognised:
    """A model found in a file.

    Attributes:
        model: The model's config.
        num_classes: Number of classes, or of characters in the vocabulary.
        x_shape: Shape of one input; None where any will do (text of any length).
        weights: float32 arrays: the trainable weights, then the others, in the order of `model.build`'s variables.
        frozen: Classes of the file's layers that are not trainable.
        left_out: Settings of the file's layers that fedcli's model does not have, and that matter only in training:
            dropout, regularizers, constraints.
    """

    model: ModelConfig
    num_classes: int
    x_shape: tuple[int, ...] | None
    weights: list[NDArray[np.float32]]
    frozen: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def recognise(path: Path, layers: Sequence[Layer]) -> Recognised:
    """Finds which of fedcli's models a sequence of layers is.

    Batch sizes, statefulness and names do not matter; nor does a softmax at the end, before which the logits are. What
    changes the training alone is told in the result: frozen layers, and dropout, regularizers and constraints.

    Args:
        path: The file, for messages.
        layers: Its layers.

    Raises:
        ConfigError: It is none of them.
        DataError: The weights are not of the shapes that the layers say.
    """
    try:
        found = _recognise(path, layers)
        return dataclasses.replace(found, frozen=tuple(_frozen(layers)), left_out=tuple(_training_settings(layers)))
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path} is damaged: its layers are described wrongly ({type(error).__name__}: {error})",
            "get or save the file again",
        ) from error


def _recognise(path: Path, layers: Sequence[Layer]) -> Recognised:
    core = [layer for layer in layers if layer.kind not in ("InputLayer", "Dropout")]
    if core and core[-1].kind == "Softmax":
        core.pop()
    for problem in _problems(core):
        raise ConfigError(f"{path}: {problem}", _EXPECTED)
    kinds = [layer.kind for layer in core]
    if kinds == ["Embedding", "GRU", "Dense"]:
        return _char_rnn(path, core)
    x_shape = _input_shape(layers)
    if kinds == ["Conv2D", "MaxPooling2D"] * 2 + ["Flatten", "Dense", "Dense"] and x_shape and len(x_shape) == 3:
        return _cnn(path, core, x_shape)
    if len(kinds) > 1 and kinds == ["Flatten", *["Dense"] * (len(kinds) - 1)] and x_shape:
        return _mlp(path, core, x_shape)
    raise ConfigError(f"{path} has the layers {', '.join(layer.kind for layer in layers) or '(none)'}", _EXPECTED)


def _problems(core: Sequence[Layer]) -> Iterator[str]:
    for index, layer in enumerate(core):
        for key, expected in _SETTINGS.get(layer.kind, {}).items():
            found = layer.config.get(key, expected)
            found = list(found) if isinstance(found, tuple) else found
            if found != expected:
                yield f"{layer.kind} has {key}={found}, fedcli's has {expected}"
        if layer.kind == "Dense":
            last = index == len(core) - 1
            in_text = any(other.kind == "Embedding" for other in core)
            allowed = ("linear", "softmax") if last or in_text else ("relu",)
            found = layer.config.get("activation", "linear")
            if found not in allowed:
                yield f"Dense has activation={found}, fedcli's has {allowed[0]}"


def _frozen(layers: Sequence[Layer]) -> Iterator[str]:
    """Finds the layers whose weights Keras would not train."""
    for layer in layers:
        if layer.weights and not layer.config.get("trainable", True):
            yield layer.kind


def _training_settings(layers: Sequence[Layer]) -> Iterator[str]:
    """Finds the settings that change how Keras trains the layers, but not what they compute."""
    for layer in layers:
        if layer.kind == "Dropout" and layer.config.get("rate"):
            yield f"Dropout of {float(layer.config['rate']):g}"
        for key, value in layer.config.items():
            if key.endswith(("_regularizer", "_constraint")) and value:
                yield f"{key} of {layer.kind}"
            elif key in ("dropout", "recurrent_dropout", "dropout_W", "dropout_U") and value:
                yield f"{key}={float(value):g} of {layer.kind}"


def _char_rnn(path: Path, core: Sequence[Layer]) -> Recognised:
    embedding, gru, dense = core
    characters, dim = int(embedding.config["input_dim"]), int(embedding.config["output_dim"])
    units, classes = int(gru.config["units"]), int(dense.config["units"])
    # Files without the key are of either form, which the bias tells: Keras had no other form first, and TensorFlow 2's
    # default is the later one.
    reset_after = bool(gru.config.get("reset_after", gru.weights[2].ndim == 2))
    shapes = [
        (characters, dim),
        (dim, 3 * units),
        (units, 3 * units),
        (2, 3 * units) if reset_after else (3 * units,),
        (units, classes),
        (classes,),
    ]
    if characters != classes:
        raise ConfigError(f"{path} reads {characters} characters and predicts {classes}", "expected one vocabulary")
    model = CharRNN(embedding_dim=dim, units=units, reset_after=reset_after)
    return Recognised(model, classes, None, _weights(path, core, shapes))


def _cnn(path: Path, core: Sequence[Layer], x_shape: tuple[int, ...]) -> Recognised:
    height, width, channels = x_shape
    filters = [int(layer.config["filters"]) for layer in core if layer.kind == "Conv2D"]
    hidden, classes = (int(layer.config["units"]) for layer in core[-2:])
    if filters != [32, 64] or hidden != 512:
        raise ConfigError(
            f"{path} has convolutions of {filters[0]} and {filters[1]} channels and a dense layer of {hidden}",
            "expected fedcli's cnn: 32 and 64 channels, a dense layer of 512",
        )
    pooled = -(-height // 4) * -(-width // 4)
    shapes = [
        (5, 5, channels, 32),
        (32,),
        (5, 5, 32, 64),
        (64,),
        (pooled * 64, hidden),
        (hidden,),
        (hidden, classes),
        (classes,),
    ]
    return Recognised(CNN(), classes, x_shape, _weights(path, core, shapes))


def _mlp(path: Path, core: Sequence[Layer], x_shape: tuple[int, ...]) -> Recognised:
    sizes = [int(np.prod(x_shape)), *(int(layer.config["units"]) for layer in core[1:])]
    shapes: list[tuple[int, ...]] = []
    for inputs, units in pairwise(sizes):
        shapes += [(inputs, units), (units,)]
    model = MLP(hidden_units=sizes[1:-1])
    return Recognised(model, sizes[-1], x_shape, _weights(path, core, shapes))


def _input_shape(layers: Sequence[Layer]) -> tuple[int, ...] | None:
    """Returns the shape of one input, None if the file does not fix it."""
    for layer in layers[:1]:
        for key in ("batch_input_shape", "batch_shape"):  # Keras 2, Keras 3
            shape = layer.config.get(key)
            if shape and all(isinstance(size, int) for size in shape[1:]):
                return tuple(shape[1:])
    return None


def _weights(path: Path, core: Sequence[Layer], shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
    weights = [weight for layer in core for weight in layer.weights]
    found = [weight.shape for weight in weights]
    if found != list(shapes):
        raise DataError(
            f"{path} is damaged: its weights have the shapes {found}",
            f"its layers say {list(shapes)}; get or save the file again",
        )
    return weights
