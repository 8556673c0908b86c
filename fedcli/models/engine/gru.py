"""A GRU over character ids: the numbers of Keras's layer, several times faster to train on a CPU.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
https://arxiv.org/abs/1406.1078. What makes the difference to `tf.keras.layers.GRU`:

- There are few characters, so what the input adds to the gates is computed once for each of them, as a table, and
  looked up at each position.
- The gradient is written by hand. Automatic differentiation multiplies by the transposed kernel at each position,
  which takes TensorFlow more than twice as long as by a kernel that was transposed once, and adds up one outer
  product of the kernel's size a position, where one large product over all positions gives the same.
- What the gradient needs of a position is computed in the forward pass while it is in the processor's cache.

A loop, not 100 unrolled positions: as fast, and the graph is a fifth of the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

Tensor: TypeAlias = tf.Tensor
#: What a step makes: the state that goes to the next position, and tensors that are kept of this one.
Step: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Sequence[Tensor]]]


@dataclass(frozen=True)
class GRUWeights:
    """The weights of `tf.keras.layers.GRU` with `units` units; the gates come in Keras's order z, r, h.

    Attributes:
        kernel: float32 [inputs, 3 * units].
        recurrent_kernel: float32 [units, 3 * units].
        bias: float32 [2, 3 * units] (of the input, of the state) with `reset_after`, else [3 * units].
        reset_after: Whether the reset gate is applied after the matrix product.
    """

    kernel: Tensor
    recurrent_kernel: Tensor
    bias: Tensor
    reset_after: bool


def gru(ids: Tensor, embeddings: Tensor, weights: GRUWeights, training: bool) -> Tensor:
    """Computes the GRU's state at every position of sequences of characters.

    Args:
        ids: int32 [b, t], in [0, characters).
        embeddings: float32 [characters, inputs].
        weights: The GRU's weights.
        training: Whether the gradient is wanted. Without it, memory is needed for little more than the result.

    Returns:
        float32 [t, b, units]: by position first, as the states come.
    """
    units = weights.recurrent_kernel.shape[0]
    recurrent_kernel, bias = tf.convert_to_tensor(weights.recurrent_kernel), tf.convert_to_tensor(weights.bias)
    if weights.reset_after:
        # Only the candidate's state bias is inside of the reset gate; all else is known for each character.
        fixed_bias = bias[0] + tf.pad(bias[1, : 2 * units], [[0, units]])
        state_bias = bias[1, 2 * units :]
        forward, backward = _forward_reset_after, _backward_reset_after
    else:
        fixed_bias, state_bias = bias, tf.zeros([0])
        forward, backward = _forward_reset_before, _backward_reset_before
    table = tf.matmul(embeddings, weights.kernel) + fixed_bias
    characters = tf.transpose(ids)

    def states(
        table: Tensor, recurrent_kernel: Tensor, state_bias: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]]:
        kept = forward(characters, table, recurrent_kernel, state_bias, True)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return backward(upstream, characters, table, recurrent_kernel, kept)

        return kept[0], gradient

    if training:
        return tf.custom_gradient(states)(table, recurrent_kernel, state_bias)
    return forward(characters, table, recurrent_kernel, state_bias, False)[0]


def _forward_reset_after(
    characters: Tensor, table: Tensor, kernel: Tensor, state_bias: Tensor, training: bool
) -> list[Tensor]:
    """Runs the form that applies the reset gate after the product.

    Returns:
        The states [t, b, units]; in training also what a change of the state's gradient by 1 changes in the gates'
        sums: the sums of the state's products [t, b, 3 * units] and the candidate's sum [t, b, units]; and the
        update gate [t, b, units].
    """
    units = kernel.shape[0]

    def step(position: Tensor, state: Tensor) -> tuple[Tensor, list[Tensor]]:
        inputs, products = tf.gather(table, characters[position]), tf.matmul(state, kernel)
        gates = tf.sigmoid(inputs[:, : 2 * units] + products[:, : 2 * units])
        update, reset = tf.split(gates, 2, axis=1)
        product = products[:, 2 * units :] + state_bias
        candidate = tf.tanh(inputs[:, 2 * units :] + reset * product)
        difference = state - candidate
        new_state = candidate + update * difference
        if not training:
            return new_state, [new_state]
        by_candidate = _tanh_grad(candidate, 1 - update)
        by_gates = [
            _sigmoid_grad(update, difference),
            _sigmoid_grad(reset, by_candidate * product),
            by_candidate * reset,
        ]
        return new_state, [new_state, tf.concat(by_gates, axis=1), by_candidate, update]

    return _scan(step, _zeros(characters, units), tf.shape(characters)[0], 4 if training else 1)


def _backward_reset_after(
    upstream: Tensor, characters: Tensor, table: Tensor, kernel: Tensor, kept: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of the table, the recurrent kernel and the state's bias."""
    units = kernel.shape[0]
    states, by_gates, by_candidate, update = kept
    transposed = tf.transpose(kernel)

    def step(position: Tensor, later: Tensor) -> tuple[Tensor, list[Tensor]]:
        state = upstream[position] + later
        # Concatenated, not broadcast: TensorFlow's broadcasts are slow.
        products = tf.concat([state] * 3, axis=1) * by_gates[position]
        earlier = state * update[position] + tf.matmul(products, transposed)
        return earlier, [products, state * by_candidate[position]]

    zeros = _zeros(characters, units)
    products, candidates = _scan(step, zeros, tf.shape(characters)[0], 2, reverse=True)
    of_table = _sum_by_character(products, characters, table)
    of_candidates = _sum_by_character(candidates, characters, table)
    return (
        tf.concat([of_table[:, : 2 * units], of_candidates], axis=1),
        _outer_products(states[:-1], products[1:]),
        tf.reduce_sum(of_table[:, 2 * units :], axis=0),
    )


def _forward_reset_before(
    characters: Tensor, table: Tensor, kernel: Tensor, state_bias: Tensor, training: bool
) -> list[Tensor]:
    """Runs the form that applies the reset gate before the product (Cho et al.).

    Returns:
        The states [t, b, units]; in training also the reset states that go into the candidate, the reset and the
        update gate, and what a change by 1 changes in the gates' sums: of the state's gradient in the update
        gate and the candidate, of the reset state's in the reset gate; each [t, b, units].
    """
    del state_bias  # this form has one bias, which is in the table
    units = kernel.shape[0]
    gates_kernel, candidate_kernel = tf.identity(kernel[:, : 2 * units]), tf.identity(kernel[:, 2 * units :])

    def step(position: Tensor, state: Tensor) -> tuple[Tensor, list[Tensor]]:
        inputs = tf.gather(table, characters[position])
        gates = tf.sigmoid(inputs[:, : 2 * units] + tf.matmul(state, gates_kernel))
        update, reset = tf.split(gates, 2, axis=1)
        reset_state = reset * state
        candidate = tf.tanh(inputs[:, 2 * units :] + tf.matmul(reset_state, candidate_kernel))
        difference = state - candidate
        new_state = candidate + update * difference
        if not training:
            return new_state, [new_state]
        by_update = _sigmoid_grad(update, difference)
        by_candidate = _tanh_grad(candidate, 1 - update)
        by_reset = _sigmoid_grad(reset, state)
        return new_state, [new_state, reset_state, reset, update, by_update, by_candidate, by_reset]

    return _scan(step, _zeros(characters, units), tf.shape(characters)[0], 7 if training else 1)


def _backward_reset_before(
    upstream: Tensor, characters: Tensor, table: Tensor, kernel: Tensor, kept: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of the table, the recurrent kernel and the (empty) state's bias."""
    units = kernel.shape[0]
    states, reset_states, reset, update, by_update, by_candidate, by_reset = kept
    gates_transposed = tf.transpose(kernel[:, : 2 * units])
    candidate_transposed = tf.transpose(kernel[:, 2 * units :])

    def step(position: Tensor, later: Tensor) -> tuple[Tensor, list[Tensor]]:
        state = upstream[position] + later
        candidate = state * by_candidate[position]
        reset_state = tf.matmul(candidate, candidate_transposed)
        gates = tf.concat([state * by_update[position], reset_state * by_reset[position]], axis=1)
        earlier = state * update[position] + reset_state * reset[position] + tf.matmul(gates, gates_transposed)
        return earlier, [gates, candidate]

    zeros = _zeros(characters, units)
    gates, candidates = _scan(step, zeros, tf.shape(characters)[0], 2, reverse=True)
    of_table = [_sum_by_character(sums, characters, table) for sums in (gates, candidates)]
    of_kernel = [_outer_products(states[:-1], gates[1:]), _outer_products(reset_states, candidates)]
    return tf.concat(of_table, axis=1), tf.concat(of_kernel, axis=1), tf.zeros([0])


def _scan(step: Step, state: Tensor, length: Tensor, kept: int, reverse: bool = False) -> list[Tensor]:
    """Runs a step at each position, from the first or (`reverse`) the last.

    Args:
        step: From a position and the state to the next state and the `kept` tensors of this position.
        state: Before the first step, [b, units].
        length: Number of positions, t.
        kept: Number of tensors that a step gives.
        reverse: Whether to go from the last position to the first.

    Returns:
        What the steps gave, each stacked to [t, ...] by position.
    """
    arrays = [tf.TensorArray(tf.float32, length) for _ in range(kept)]

    def body(count: Tensor, state: Tensor, *arrays: Any) -> tuple[Any, ...]:
        position = length - 1 - count if reverse else count
        state, tensors = step(position, state)
        return count + 1, state, *(array.write(position, x) for array, x in zip(arrays, tensors, strict=True))

    _, _, *arrays = tf.while_loop(lambda count, *_: count < length, body, (0, state, *arrays))
    return [array.stack() for array in arrays]


def _zeros(characters: Tensor, units: int) -> Tensor:
    """Returns the state before the first character, [b, units]."""
    return tf.zeros([tf.shape(characters)[1], units])


def _sigmoid_grad(sigmoid: Tensor, upstream: Tensor) -> Tensor:
    return tf.raw_ops.SigmoidGrad(y=sigmoid, dy=upstream)


def _tanh_grad(tanh: Tensor, upstream: Tensor) -> Tensor:
    return tf.raw_ops.TanhGrad(y=tanh, dy=upstream)


def _sum_by_character(gradients: Tensor, characters: Tensor, table: Tensor) -> Tensor:
    """Sums gradients [t, b, n] over the positions of each character, [characters, n]."""
    flat = tf.reshape(gradients, [-1, gradients.shape[-1]])
    return tf.math.unsorted_segment_sum(flat, tf.reshape(characters, [-1]), table.shape[0])


def _outer_products(left: Tensor, right: Tensor) -> Tensor:
    """Sums the outer products of [t, b, m] and [t, b, n] over all positions and sequences, [m, n]."""

    def flat(x: Tensor) -> Tensor:
        return tf.reshape(x, [-1, x.shape[-1]])

    return tf.matmul(flat(left), flat(right), transpose_a=True)
