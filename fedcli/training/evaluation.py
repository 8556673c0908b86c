"""Evaluates the global model on the test split.

Batches are evaluated side by side, each by one thread, and summed in their order: the numbers do not depend on
the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedcli.datasets.base import DataSpec, Examples
from fedcli.models.base import ModelConfig
from fedcli.runtime.engine.sessions import session_config
from fedcli.runtime.idle import Idle, OnePerThread
from fedcli.training.masked import masked_sums
from fedcli.training.weights import Weights


@dataclass(frozen=True)
class Evaluation:
    """Metrics over all targets that are not padding.

    Attributes:
        loss: Mean cross-entropy in nats.
        accuracy: Share of targets predicted right, in [0, 1].
    """

    loss: float
    accuracy: float


class Evaluator:
    """Evaluates weights on examples.

    Args:
        model: The model.
        spec: The data set's inputs and targets.
        batch_size: Examples a batch.
        threads: Batches that are evaluated at the same time.
    """

    def __init__(self, model: ModelConfig, spec: DataSpec, batch_size: int, threads: int) -> None:
        self._batch_size = batch_size
        self._pool = ThreadPoolExecutor(threads, "fedcli-eval")
        self._sessions = OnePerThread(_sessions, (model, spec), lambda: _EvalSession(model, spec))

    def __call__(self, weights: Weights, examples: Examples) -> Evaluation:
        """Evaluates a model.

        Args:
            weights: Trainable weights, then other weights.
            examples: What to evaluate on.
        """
        return _mean(self._pool.map(lambda start: self._evaluate(weights, examples, start), self._starts(examples)))

    def each(self, tasks: Iterable[Callable[[], tuple[Weights, Examples]]]) -> list[Evaluation]:
        """Evaluates many models on examples of their own, several at a time, each by one thread.

        Args:
            tasks: Each gives a model's weights and what to evaluate them on; called in the thread.
        """

        def evaluate(task: Callable[[], tuple[Weights, Examples]]) -> Evaluation:
            weights, examples = task()
            return _mean([self._evaluate(weights, examples, start) for start in self._starts(examples)])

        return list(self._pool.map(evaluate, tasks))

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)
        self._sessions.give_back()

    def _starts(self, examples: Examples) -> range:
        return range(0, len(examples), self._batch_size)

    def _evaluate(self, weights: Weights, examples: Examples, start: int) -> list[NDArray[np.float32]]:
        batch = slice(start, start + self._batch_size)
        return self._sessions.get().evaluate(weights, examples.x[batch], examples.y[batch])


def _mean(sums: Iterable[list[NDArray[np.float32]]]) -> Evaluation:
    loss, hits, targets = np.sum(np.array(list(sums), np.float64).reshape(-1, 3), axis=0)
    if targets == 0:
        return Evaluation(float("nan"), float("nan"))
    return Evaluation(float(loss / targets), float(hits / targets))


class _EvalSession:
    """The model in a graph and session of its own."""

    def __init__(self, model: ModelConfig, spec: DataSpec) -> None:
        with tf.Graph().as_default() as graph:
            # Keras must find this session, not make one that would outlive the run.
            session = tf.compat.v1.Session(graph=graph, config=session_config())
            keras_model = model.build(spec)
            x = tf.compat.v1.placeholder(spec.x_dtype, (None, *spec.x_shape))
            y = tf.compat.v1.placeholder(tf.int32, (None, *spec.y_shape))
            sums = masked_sums(y, keras_model(x, training=False))
            variables = [*keras_model.trainable_weights, *keras_model.non_trainable_weights]
            values = [tf.compat.v1.placeholder(v.dtype.base_dtype, v.shape) for v in variables]
            assign = [tf.compat.v1.assign(v, value) for v, value in zip(variables, values, strict=True)]
            self._assign = session.make_callable(tf.group(assign), feed_list=values)
            self._sums = session.make_callable(list(sums), feed_list=[x, y])
        self._weights: Weights | None = None

    def evaluate(self, weights: Weights, x: NDArray[np.generic], y: NDArray[np.int32]) -> list[NDArray[np.float32]]:
        if weights is not self._weights:
            self._assign(*weights)
            self._weights = weights
        return self._sums(x, y)


# The next job of a sweep has its model's graph already.
_sessions: Idle[_EvalSession] = Idle(kinds=1)
