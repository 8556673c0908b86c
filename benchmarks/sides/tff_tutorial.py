"""TFF's tutorial on compression, as a user would write it today for TFF 0.87, on TFF's own runtime.

https://www.tensorflow.org/federated/tutorials/tff_for_federated_learning_research_compression: the same calls with the
same arguments (`from_keras_model`, `build_weighted_fed_avg`, `compression_aggregator`, `process.next` on a list of
`tf.data.Dataset`s in the default context). What differs: the model has the plan's initial weights and gives logits
(the tutorial's softmax trains the same), and the clients' examples are in memory and shuffled already, instead of
being read from SQLite and shuffled by each dataset, which takes the tutorial longer.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow leaves it off on AMD processors; fedcli has it on.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import tensorflow as tf
import tensorflow_federated as tff

from benchmarks.sides import keras_models
from benchmarks.sides.protocol import Array, Plan, arguments


def main() -> None:
    """Trains the plan's rounds."""
    plan, reporter, _ = arguments()
    x, y = plan.test
    input_spec = tuple(tf.TensorSpec([None, *of.shape[1:]], of.dtype) for of in (x, y))

    def tff_model_fn() -> tff.learning.models.VariableModel:
        return tff.learning.models.from_keras_model(
            keras_model=_architecture(plan),
            input_spec=input_spec,
            loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
        )

    aggregator = {"mean": None, "compression": tff.learning.compression_aggregator()}[plan.settings["aggregator"]]
    process = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn=tff_model_fn,
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(learning_rate=plan.learning_rate),
        server_optimizer_fn=tff.learning.optimizers.build_sgdm(learning_rate=1.0),
        model_aggregator=aggregator,
    )
    state = process.initialize()
    initial = tff.learning.models.ModelWeights(trainable=plan.weights, non_trainable=[])
    state = process.set_model_weights(state, initial)
    for round in range(1, plan.rounds + 1):
        clients = [_dataset(plan, *plan.client(round, index)) for index in range(plan.num_clients)]
        result = process.next(state, clients)
        state = result.state
        train = result.metrics["client_work"]["train"]
        reporter.round(round, int(train["num_batches"]), int(train["num_examples"]))
    model = keras_models.build(plan)
    process.get_model_weights(state).assign_weights_to(model)
    model.compile(
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
    )
    loss, accuracy = model.evaluate(x, y, batch_size=256, verbose=0)
    batch = [plan.batch_size, *x.shape[1:]]
    dtype = str(model.weights[0].numpy().dtype)
    reporter.done(accuracy, loss, batch, dtype, ["tensorflow", "tensorflow-federated"])
    # TFF's worker may outlive this process: the harness ends it.


def _architecture(plan: Plan) -> tf.keras.Model:
    # Without values: TFF initialises weights in a graph of its own.
    return tf.keras.models.clone_model(keras_models.build(plan))


def _dataset(plan: Plan, x: Array, y: Array) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(plan.batch_size, drop_remainder=False)


if __name__ == "__main__":
    main()
