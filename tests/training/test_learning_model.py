"""Models whose variables are not all trained by gradients."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from fedcli.aggregators.mean import Mean
from fedcli.algorithms.base import Parts
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.distributors.broadcast import Broadcast
from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from fedcli.optimizers.sgd import SGD
from fedcli.runtime.local import LocalRuntime
from tests.runtime.conftest import SPEC, work


@dataclasses.dataclass(frozen=True)
class Layers(ModelConfig):
    """Another layer between two dense ones."""

    kind: ClassVar[str] = "image"
    name: str = "layers"
    between: str = "frozen"

    def build(self, spec):
        import tensorflow as tf

        layers = tf.keras.layers
        between = {
            "frozen": lambda: layers.Dense(6, trainable=False),
            "moving": lambda: layers.BatchNormalization(name="norm"),
            "fixed": lambda: layers.BatchNormalization(trainable=False),
        }[self.between]()
        input = layers.InputLayer(spec.x_shape)
        return tf.keras.Sequential([input, layers.Flatten(), layers.Dense(6), between, layers.Dense(spec.num_classes)])


def compiled(between):
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    parts = Parts(model_fn(Layers(between=between), SPEC), SGD(learning_rate=0.1), SGD(), Mean(), Broadcast())
    return compile_round(FedAvg().build(parts))


def test_frozen_layers_travel_down_alone_and_stay_as_they_are():
    program = compiled("frozen")
    trained, frozen = 36 * 6 + 6 + 6 * 4 + 4, 6 * 6 + 6
    bits = program.communication
    # Beside the learning rate down, the sum of weights and the training metrics up.
    assert 32 * (trained + frozen) < bits.broadcasted_bits <= 32 * (trained + frozen) + 64
    assert 32 * trained < bits.aggregated_bits <= 32 * trained + 400
    trainable, other = program.model_weights()
    with LocalRuntime(1, 2) as runtime:
        runtime.load(program)
        before = runtime.initial_state((0, 0))
        after = runtime.run_round(before, [work(0, 1), work(1, 1)], (0, 1)).state
    assert all(np.array_equal(before[i], after[i]) for i in other)
    assert not any(np.array_equal(before[i], after[i]) for i in trainable)


def test_moving_averages_are_refused():
    with pytest.raises(ConfigError, match="norm is a BatchNormalization") as caught:
        compiled("moving")
    assert "GroupNormalization" in caught.value.hint


def test_averages_that_do_not_move_are_weights_like_others():
    assert len(compiled("fixed").model_weights()[1]) == 4
