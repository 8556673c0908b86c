"""Federated averaging by hand, as a good TensorFlow user would write it: the practical limit.

The examples are in memory already, a client's whole training is one `tf.function`, nothing is recorded or saved.
oneDNN is on, as it is for fedcli. Two ways to use the cores, chosen by an option:

- `clients`: a Python thread for each core trains clients, each with a model of its own; operations have one thread.
- `operations`: one client at a time, whose operations have a thread for each core.
"""

from __future__ import annotations

import os
import queue
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import numpy as np
import tensorflow as tf

from benchmarks.sides import keras_models
from benchmarks.sides.protocol import Array, Plan, arguments

Weights = list[Array]


def main() -> None:
    """Trains the plan's rounds. Option: `clients` or `operations`."""
    plan, reporter, (way,) = arguments()
    cores = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(cores if way == "operations" else 1)
    # With one thread here, the operations of a graph run one after the other, in the thread that calls it.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    trainers = [Trainer(plan) for _ in range(1 if way == "operations" else cores)]
    idle: queue.SimpleQueue[Trainer] = queue.SimpleQueue()
    for trainer in trainers:
        idle.put(trainer)

    def train(round: int, index: int, weights: Weights) -> tuple[Weights, int, int]:
        trainer = idle.get()
        try:
            return trainer.train(weights, *plan.client(round, index))
        finally:
            idle.put(trainer)

    weights = plan.weights
    accuracy = loss = float("nan")
    every = plan.settings["eval_every"] or plan.rounds
    with ThreadPoolExecutor(len(trainers)) as pool:
        for round in range(1, plan.rounds + 1):
            # Waited for in order and added up at once, so that the deltas are never all in memory.
            futures = [pool.submit(train, round, index, weights) for index in range(plan.num_clients)]
            total = [np.zeros_like(weight) for weight in weights]
            steps = examples = 0
            for position, future in enumerate(futures):
                delta, client_steps, client_examples = future.result()
                futures[position] = None  # type: ignore[call-overload]
                for sum_, change in zip(total, delta, strict=True):
                    sum_ += change
                steps += client_steps
                examples += client_examples
            weights = [weight + sum_ / np.float32(examples) for weight, sum_ in zip(weights, total, strict=True)]
            if round % every == 0 or round == plan.rounds:
                loss, accuracy = evaluate(plan, trainers, pool, weights)
            reporter.round(round, steps, examples)
    batch = [plan.batch_size, *trainers[0].model.input_shape[1:]]
    if plan.settings["model"] == "char_rnn":
        batch = [plan.batch_size, plan.test[0].shape[1]]
    reporter.done(accuracy, loss, batch, str(weights[0].dtype), ["tensorflow"])


class Trainer:
    """A model with a graph that trains it on a client.

    Args:
        plan: The work.
    """

    def __init__(self, plan: Plan) -> None:
        self.model = keras_models.build(plan)
        size, rate = plan.batch_size, plan.learning_rate
        x, y = plan.test
        variables = self.model.trainable_variables

        @tf.function(input_signature=[tf.TensorSpec([None, *of.shape[1:]], of.dtype) for of in (x, y)])
        def train(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            before = [tf.identity(variable) for variable in variables]
            steps = (tf.shape(x)[0] + size - 1) // size
            for step in tf.range(steps):
                batch = slice(step * size, (step + 1) * size)
                with tf.GradientTape() as tape:
                    loss = _loss(y[batch], self.model(x[batch], training=True))
                for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                    # Of an embedding it is a sparse one.
                    variable.assign_sub(rate * tf.convert_to_tensor(gradient))
            count = tf.cast(tf.shape(x)[0], tf.float32)
            return steps, [count * (after - first) for after, first in zip(variables, before, strict=True)]

        @tf.function(input_signature=[tf.TensorSpec([None, *of.shape[1:]], of.dtype) for of in (x, y)])
        def test(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = self.model(x, training=False)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            hits = tf.equal(y, tf.argmax(logits, axis=-1, output_type=y.dtype))
            return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(hits, tf.float32))

        self._train, self._test = train, test

    def train(self, weights: Weights, x: Array, y: Array) -> tuple[Weights, int, int]:
        """Trains a client.

        Returns:
            The change of the weights times the number of examples, the steps, the number of examples.
        """
        self._set(weights)
        steps, deltas = self._train(x, y)
        return [delta.numpy() for delta in deltas], int(steps), len(x)

    def test(self, weights: Weights, x: Array, y: Array) -> tuple[float, float]:
        """Returns the summed cross-entropy and the number of right predictions."""
        self._set(weights)
        loss, hits = self._test(x, y)
        return float(loss), float(hits)

    def _set(self, weights: Weights) -> None:
        for variable, weight in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(weight)


def evaluate(plan: Plan, trainers: list[Trainer], pool: ThreadPoolExecutor, weights: Weights) -> tuple[float, float]:
    """Returns loss and accuracy on the held-out examples, batches of 256 side by side."""
    x, y = plan.test
    shares = [
        [slice(start, start + 256) for start in range(256 * first, len(x), 256 * len(trainers))]
        for first in range(len(trainers))
    ]

    def share(trainer: Trainer, batches: list[slice]) -> list[tuple[float, float]]:
        return [trainer.test(weights, x[batch], y[batch]) for batch in batches]

    sums = [one for part in pool.map(share, trainers, shares) for one in part]
    loss, hits = np.sum(sums, axis=0)
    return float(loss / y.size), float(hits / y.size)


def _loss(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))


if __name__ == "__main__":
    main()
