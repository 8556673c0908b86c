"""What the server's first state holds, and the model's way from a state to a Keras file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedcli.compression.run_seed import SEED
from fedcli.datasets.base import DataSpec
from fedcli.models.base import ModelConfig
from fedcli.runs.atomic import atomic_path
from fedcli.runtime.engine.communication import NUM_CLIENTS
from fedcli.runtime.engine.compiled import CompiledRound
from fedcli.runtime.round import State
from fedcli.training.sampling import seed_words

Weights = list[NDArray[np.generic]]


def initial_weights(model: ModelConfig, spec: DataSpec, seed: int) -> Weights:
    """Initialises a model.

    Returns:
        Its trainable weights, then its other weights.
    """
    tf.keras.utils.set_random_seed(seed % 2**32)
    keras_model = model.build(spec)
    return [np.asarray(w) for w in (*keras_model.trainable_weights, *keras_model.non_trainable_weights)]


def with_weights(state: State, compiled: CompiledRound, weights: Weights) -> State:
    """Returns a server's state with other model weights.

    Args:
        state: The server's state.
        compiled: The computation whose state it is.
        weights: Trainable weights, then other weights.
    """
    trainable, other = compiled.model_weights()
    new = list(state)
    for index, weight in zip([*trainable, *other], weights, strict=True):
        if new[index].shape != weight.shape:
            raise ValueError(f"{compiled.state[index].path}: {new[index].shape} against {weight.shape}")
        new[index] = weight
    return new


def weights_of(state: State, compiled: CompiledRound) -> Weights:
    """Returns the model's weights in a server's state: trainable ones, then others."""
    trainable, other = compiled.model_weights()
    return [state[index] for index in [*trainable, *other]]


def with_seed(state: State, compiled: CompiledRound, seed: int) -> State:
    """Returns a server's state whose random numbers, where it keeps where they come from, follow the run's seed.

    Args:
        state: The server's state.
        compiled: The computation whose state it is.
        seed: The run's seed.
    """
    words = np.array([word % 2**32 for word in seed_words(seed, "state")], np.uint32).view(np.int32)
    return [
        words if leaf.path.rpartition("/")[2] == SEED else value
        for leaf, value in zip(compiled.state, state, strict=True)
    ]


def with_num_clients(state: State, compiled: CompiledRound, num_clients: int) -> State:
    """Returns a server's state that knows the number of clients, where it has a place for it.

    Args:
        state: The server's state.
        compiled: The computation whose state it is.
        num_clients: All training clients, sampled or not.
    """
    return [
        np.asarray(num_clients, leaf.dtype) if leaf.path.rpartition("/")[2] == NUM_CLIENTS else value
        for leaf, value in zip(compiled.state, state, strict=True)
    ]


def save_keras(path: Path, model: ModelConfig, spec: DataSpec, weights: Weights) -> None:
    """Writes the model as a Keras file that plain `tf.keras.models.load_model` opens.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    keras_model = model.export(spec)
    variables = [*keras_model.trainable_weights, *keras_model.non_trainable_weights]
    for variable, weight in zip(variables, weights, strict=True):
        variable.assign(weight)
    with atomic_path(path) as partial:
        keras_model.save(partial)
