"""A model that is trained in one place: Adam, each batch's gradient computed by several threads.

A batch is cut into a fixed number of shards, whose gradients are summed in their order: the numbers depend neither on
the number of threads nor on the machine's cores. (TensorFlow's own threads are held to one, see
`fedcli.runtime.tensorflow_settings`, and eager TensorFlow shares it; sessions have one each.)
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedcli.config.pretrain import PretrainConfig
from fedcli.datasets.base import PADDING, Examples
from fedcli.runtime.engine.sessions import session_config
from fedcli.runtime.local import available_cores
from fedcli.training.masked import masked_sums
from fedcli.training.weights import Weights

#: Keras's defaults.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7

#: Summed cross-entropy in nats, right predictions, number of targets.
Sums = NDArray[np.float64]
Arrays = list[NDArray[np.float32]]


class Network:
    """A model and its optimizer, Adam with Keras's defaults (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980).

    Only trainable weights are trained; moving statistics, as of batch normalisation, keep their first values.

    Args:
        config: The model and how it is trained.
        weights: Its first weights: trainable ones, then others.
        num_trainable: How many of them are trainable.
    """

    def __init__(self, config: PretrainConfig, weights: Weights, num_trainable: int) -> None:
        self._config = config
        self._num_trainable = num_trainable
        self.num_weights = len(weights)
        moments = [np.zeros_like(weight) for weight in weights[:num_trainable]]
        self.state = [*weights, *moments, *moments, np.array(0)]
        self._pool = ThreadPoolExecutor(min(config.shards, available_cores()), "fedcli-pretrain")
        self._of_thread = threading.local()

    @property
    def names(self) -> list[str]:
        """Names of the state's parts, for checkpoints."""
        return [
            *(f"model/{i}" for i in range(self.num_weights)),
            *(f"adam/{moment}/{i}" for moment in ("first", "second") for i in range(self._num_trainable)),
            "adam/steps",
        ]

    @property
    def state(self) -> Weights:
        """The model's weights, Adam's first and second moments, and the number of its steps."""
        return [*(array.copy() for array in self._arrays), np.array(self._steps)]

    @state.setter
    def state(self, values: Weights) -> None:
        *arrays, steps = (np.array(value) for value in values)
        self._arrays: Arrays = [array.astype(np.float32, copy=False) for array in arrays]
        self._steps = int(steps)
        self._version = object()

    def train(self, batch: Examples) -> Sums:
        """Takes a step.

        Args:
            batch: Sequences of character ids.

        Returns:
            Sums before the step.
        """
        targets = np.float32(np.count_nonzero(batch.y != PADDING))
        results = list(self._pool.map(lambda xy: self._session().train(xy[0], xy[1], targets), self._shards(batch)))
        total = results[0][1]
        for _, gradients in results[1:]:
            for sum_, gradient in zip(total, gradients, strict=True):
                sum_ += gradient
        self._adam(total)
        return np.sum([sums for sums, _ in results], axis=0, dtype=np.float64)

    def evaluate(self, batch: Examples) -> Sums:
        """Returns the sums of a batch without taking a step."""
        sums = list(self._pool.map(lambda shard: self._session().evaluate(*shard), self._shards(batch)))
        return np.sum(sums, axis=0, dtype=np.float64)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _shards(self, batch: Examples) -> list[tuple[NDArray[np.generic], NDArray[np.int32]]]:
        # A last batch can have fewer sequences than there are shards.
        count = min(self._config.shards, len(batch))
        return [(batch.x[shard::count], batch.y[shard::count]) for shard in range(count)]

    def _session(self) -> _Session:
        """Returns this thread's session, with the weights of now."""
        session: _Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = _Session(self._config)
        session.assign(self._arrays[: self.num_weights], self._version)
        return session

    def _adam(self, gradients: Arrays) -> None:
        self._steps += 1
        steps, count = self._steps, self._num_trainable
        rate = np.float32(self._config.learning_rate * math.sqrt(1 - _BETA_2**steps) / (1 - _BETA_1**steps))
        moments = self._arrays[self.num_weights :]
        parts = zip(self._arrays[:count], moments[:count], moments[count : 2 * count], gradients, strict=True)
        # In place: the arrays are millions of numbers, and this object's own. What is not finite is found in the loss.
        with np.errstate(all="ignore"):
            for weight, first, second, gradient in parts:
                first += (gradient - first) * np.float32(1 - _BETA_1)
                second += (np.square(gradient) - second) * np.float32(1 - _BETA_2)
                weight -= rate * first / (np.sqrt(second) + np.float32(_EPSILON))
        self._version = object()


class _Session:
    """The model in a graph and session of one thread."""

    def __init__(self, config: PretrainConfig) -> None:
        spec = config.spec
        with tf.Graph().as_default() as graph:
            # Keras must find this session, not make one that would outlive the run.
            session = tf.compat.v1.Session(graph=graph, config=session_config())
            model = config.model.build(spec)
            x = tf.compat.v1.placeholder(spec.x_dtype, (None, *spec.x_shape))
            y = tf.compat.v1.placeholder(tf.int32, (None, *spec.y_shape))
            targets = tf.compat.v1.placeholder(tf.float32, ())
            sums = tf.stack(masked_sums(y, model(x, training=True)))
            loss = tf.math.divide_no_nan(sums[0], targets)
            if model.losses:  # penalties of the layers; together the shards count them once
                loss += tf.add_n(model.losses) / config.shards
            gradients = tf.gradients(loss, model.trainable_weights)
            variables = [*model.trainable_weights, *model.non_trainable_weights]
            values = [tf.compat.v1.placeholder(v.dtype.base_dtype, v.shape) for v in variables]
            assign = [tf.compat.v1.assign(v, value) for v, value in zip(variables, values, strict=True)]
            self._assign = session.make_callable(tf.group(assign), feed_list=values)
            self._train = session.make_callable([sums, gradients], feed_list=[x, y, targets])
            tested = tf.stack(masked_sums(y, model(x, training=False)))
            self._evaluate = session.make_callable(tested, feed_list=[x, y])
        self._version: object = None

    def assign(self, weights: Arrays, version: object) -> None:
        """Takes other weights, unless they are those of the last time."""
        if version is not self._version:
            self._assign(*weights)
            self._version = version

    def train(
        self, x: NDArray[np.generic], y: NDArray[np.int32], targets: np.float32
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Returns the sums of a shard, and its part of the gradient of the mean loss over the batch's targets."""
        sums, gradients = self._train(x, y, targets)
        # Copied: what is given belongs to TensorFlow and cannot be added to.
        return sums, [np.array(gradient) for gradient in gradients]

    def evaluate(self, x: NDArray[np.generic], y: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns the sums of a shard."""
        sums: NDArray[np.float32] = self._evaluate(x, y)
        return sums
