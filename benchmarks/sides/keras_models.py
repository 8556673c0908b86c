"""fedcli's models made of Keras's own layers, for the references that use Keras."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.sides.protocol import Plan


def build(plan: Plan) -> tf.keras.Sequential:
    """Builds the plan's model with its initial weights; the output is logits."""
    layers = tf.keras.layers
    name = plan.settings["model"]
    if name == "cnn":
        model = [
            layers.InputLayer((28, 28, 1)),
            layers.Conv2D(32, 5, padding="same", activation="relu"),
            layers.MaxPool2D(padding="same"),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.MaxPool2D(padding="same"),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(plan.classes),
        ]
    elif name == "mlp":
        model = [
            layers.InputLayer((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(200, activation="relu"),
            layers.Dense(200, activation="relu"),
            layers.Dense(plan.classes),
        ]
    elif name == "char_rnn":
        model = [
            layers.InputLayer((None,), dtype="int32"),
            layers.Embedding(plan.classes, 256),
            layers.GRU(1024, return_sequences=True, reset_after=plan.settings["reset_after"]),
            layers.Dense(plan.classes),
        ]
    else:
        raise ValueError(f"no Keras model for {name}")
    keras_model = tf.keras.Sequential(model)
    keras_model.set_weights(plan.weights)
    return keras_model
