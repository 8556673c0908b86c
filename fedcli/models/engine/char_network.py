"""The character RNN as it is trained: Keras's variables, fedcli's GRU."""

from __future__ import annotations

import tensorflow as tf

from fedcli.models.engine.gru import GRUWeights, gru


class CharNetwork(tf.keras.Model):
    """Embedding, GRU, Dense: predicts the next character at every position.

    Args:
        num_characters: Size of the vocabulary.
        embedding_dim: Size of a character's embedding.
        units: Size of the GRU's state.
        reset_after: Whether the GRU applies the reset gate after the matrix product.
    """

    def __init__(self, num_characters: int, embedding_dim: int, units: int, reset_after: bool) -> None:
        super().__init__()
        layers = tf.keras.layers
        # In a graph the weights are always given: zeros, since a session computes first values for each client, and
        # Keras's orthogonal matrix takes half a second.
        eager = tf.executing_eagerly()
        other = {} if eager else {"kernel_initializer": "zeros"}
        recurrent = {} if eager else {"recurrent_initializer": "zeros"}
        embedding = {} if eager else {"embeddings_initializer": "zeros"}
        # The layers hold the variables, so that their order and, in eager mode, first values are Keras's.
        self._embedding = layers.Embedding(num_characters, embedding_dim, **embedding)
        self._gru = layers.GRU(units, return_sequences=True, reset_after=reset_after, **other, **recurrent)
        self._dense = layers.Dense(num_characters, **other)
        self._embedding.build((None, None))
        self._gru.build((None, None, embedding_dim))
        self._dense.build((None, None, units))
        self.built = True

    def call(self, ids: tf.Tensor, training: bool | None = False) -> tf.Tensor:
        """Computes logits [b, t, num_characters] from character ids, int32 [b, t]."""
        cell = self._gru.cell
        weights = GRUWeights(cell.kernel, cell.recurrent_kernel, cell.bias, cell.reset_after)
        states = gru(ids, self._embedding.embeddings, weights, bool(training))
        # The logits are far smaller than the states: they, not the states, are brought into the batch's order.
        return tf.transpose(self._dense(states), [1, 0, 2])
