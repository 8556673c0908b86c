"""Joins a Keras model to `tff.learning`: loss and metrics that leave padding out.

Instead of `tff.learning.models.from_keras_model`, whose loss metric weighs a batch by its sequences and not by
its characters, and which computes the loss three times a batch.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from fedcli.models.sub_model import SubModel
from fedcli.training.masked import masked_sums


class LearningModel(tff.learning.models.VariableModel):
    """A Keras model with masked cross-entropy, as `tff.learning` wants it.

    Args:
        keras_model: Maps [b, *x_shape] to logits [b, *y_shape, num_classes].
        spec: The data set's inputs and targets.
        counts_targets: See `LearningModelFn`.
    """

    def __init__(self, keras_model: tf.keras.Model, spec: DataSpec, counts_targets: bool = False) -> None:
        self._model = keras_model
        self._spec = spec
        self._counts_targets = counts_targets
        self._loss = tf.Variable(0.0, trainable=False)
        self._hits = tf.Variable(0.0, trainable=False)
        self._targets = tf.Variable(0.0, trainable=False)
        self._examples = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._batches = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """The Keras model's trainable variables."""
        return self._model.trainable_variables

    @property
    def non_trainable_variables(self) -> list[tf.Variable]:
        """The Keras model's other variables."""
        return self._model.non_trainable_variables

    @property
    def local_variables(self) -> list[tf.Variable]:
        """The running sums behind the metrics."""
        return [self._loss, self._hits, self._targets, self._examples, self._batches]

    @property
    def input_spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """Types of a batch (x, y)."""
        spec = self._spec
        return (
            tf.TensorSpec((None, *spec.x_shape), spec.x_dtype),
            tf.TensorSpec((None, *spec.y_shape), tf.int32),
        )

    @tf.function
    def predict_on_batch(self, x: tf.Tensor, training: bool = True) -> tf.Tensor:
        """Computes logits [b, *y_shape, num_classes]."""
        return self._model(x, training=training)

    @tf.function
    def forward_pass(
        self, batch_input: tuple[tf.Tensor, tf.Tensor], training: bool = True
    ) -> tff.learning.models.BatchOutput:
        """Computes the mean loss of a batch's targets and adds to the metrics."""
        x, y = batch_input
        logits = self._model(x, training=training)
        loss, hits, targets = masked_sums(y, logits)
        examples = tf.shape(x)[0]
        self._loss.assign_add(loss)
        self._hits.assign_add(hits)
        self._targets.assign_add(targets)
        self._examples.assign_add(tf.cast(examples, tf.int64))
        self._batches.assign_add(1)
        mean_loss = tf.math.divide_no_nan(loss, targets)
        if self._model.losses:  # penalties of the layers, such as weight decay
            mean_loss = tf.add_n([mean_loss, *self._model.losses])
        # What algorithms weigh clients by; the metrics count examples anyway.
        weight = tf.cast(targets, tf.int32) if self._counts_targets else examples
        return tff.learning.models.BatchOutput(loss=mean_loss, predictions=logits, num_examples=weight)

    @tf.function
    def report_local_unfinalized_metrics(self) -> OrderedDict[str, Any]:
        """Returns the sums from which the metrics of all clients are computed."""
        return OrderedDict(
            loss=[self._loss.read_value(), self._targets.read_value()],
            accuracy=[self._hits.read_value(), self._targets.read_value()],
            num_examples=[self._examples.read_value()],
            num_batches=[self._batches.read_value()],
        )

    def metric_finalizers(self) -> OrderedDict[str, Callable[[Any], tf.Tensor]]:
        """Returns the functions from summed values to metrics."""
        return OrderedDict(loss=_ratio, accuracy=_ratio, num_examples=_total, num_batches=_total)

    @tf.function
    def reset_metrics(self) -> None:
        """Sets the running sums to zero."""
        for variable in self.local_variables:
            variable.assign(tf.zeros_like(variable))


# Not tf.functions: of a module, they would keep every graph that they were ever traced in.
def _ratio(sums: list[tf.Tensor]) -> tf.Tensor:
    return tf.math.divide_no_nan(sums[0], sums[1])


def _total(sums: list[tf.Tensor]) -> tf.Tensor:
    return sums[0]


@dataclass(frozen=True)
class LearningModelFn:
    """See `fedcli.models.base.ModelFn`.

    Attributes:
        model: What is built.
        spec: The data set's inputs and targets.
        counts_targets: Whether a batch's number of examples, by which algorithms weigh clients, is the number of its
            targets that are not padding.
    """

    model: ModelConfig | SubModel
    spec: DataSpec
    counts_targets: bool = False

    def of(self, model: ModelConfig | SubModel) -> LearningModelFn:
        """Returns the same for another model."""
        return dataclasses.replace(self, model=model)

    def counting_targets(self) -> LearningModelFn:
        """Returns the same with `counts_targets`."""
        return dataclasses.replace(self, counts_targets=True)

    def __call__(self) -> LearningModel:
        """Builds the model in the current graph.

        Raises:
            ConfigError: It has moving averages.
        """
        network = self.model.build(self.spec)
        _check_moving_averages(network)
        return LearningModel(network, self.spec, self.counts_targets)


def _check_moving_averages(network: tf.keras.Model) -> None:
    """Refuses layers whose variables training changes without gradients.

    `tff.learning` aggregates trainable weights alone: the server would evaluate with the first values of the others.
    """
    for layer in network.submodules:
        if isinstance(layer, tf.keras.layers.BatchNormalization) and layer.trainable:
            raise ConfigError(
                f"the model's layer {layer.name} is a BatchNormalization: clients would not send its moving averages, "
                "with which the server evaluates",
                "use GroupNormalization or LayerNormalization in the model, or set trainable=False for the layer",
            )


def model_fn(model: ModelConfig, spec: DataSpec) -> LearningModelFn:
    """Returns the function from which `tff.learning` builds its graphs."""
    return LearningModelFn(model, spec)
