from collections import OrderedDict

import numpy as np
import pytest
import tensorflow as tf

from fedcli.compression.adaptive import AdaptiveStep
from fedcli.compression.codec import stream_bits
from fedcli.compression.run_length import RunLength

SIZE = 20_000


def play(codec, vectors):
    """Runs rounds of one client each, and returns each round's step, bits a number and relative error."""
    rounds = []
    state = codec.initial_state()

    @tf.function(input_signature=[tf.TensorSpec([SIZE]), {"step": tf.TensorSpec([])}])
    def round(x, state):
        message = codec.encode(x, codec.parameters(state), tf.constant([0, 1]))
        decoded, observed = codec.decode(message)
        error = tf.reduce_sum(tf.square(x - decoded)) / tf.reduce_sum(tf.square(x))
        return codec.update(state, observed, tf.constant(1.0)), message["step"], stream_bits(message), error

    for x in vectors:
        state, step, bits, error = round(tf.constant(x, tf.float32), dict(state))
        rounds.append((step.numpy(), bits.numpy() / SIZE, error.numpy()))
    return rounds


def updates(count, scale=1.0):
    rng = np.random.default_rng(0)
    return [scale * rng.laplace(size=SIZE) for _ in range(count)]


@pytest.mark.parametrize("target", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_reaches_a_rate(target, scale):
    codec = AdaptiveStep(SIZE, RunLength(), bits_per_element=target, distortion=None, rounding="deterministic")
    rounds = play(codec, updates(25, scale))
    assert rounds[-1][1] == pytest.approx(target, rel=0.1)


@pytest.mark.parametrize("target", [0.05, 0.5])
def test_reaches_a_distortion(target):
    codec = AdaptiveStep(SIZE, RunLength(), bits_per_element=None, distortion=target, rounding="deterministic")
    rounds = play(codec, updates(25))
    assert rounds[-1][2] == pytest.approx(target, rel=0.1)


def test_follows_updates_that_become_smaller():
    codec = AdaptiveStep(SIZE, RunLength(), bits_per_element=0.5, distortion=None, rounding="deterministic")
    vectors = [x * 0.97**i for i, x in enumerate(updates(60))]
    rounds = play(codec, vectors)
    assert rounds[-1][0] < 0.4 * rounds[15][0]
    assert rounds[-1][1] == pytest.approx(0.5, rel=0.15)


def test_a_round_of_zeros_leaves_the_step_alone():
    codec = AdaptiveStep(4, RunLength(), bits_per_element=0.5, distortion=None, rounding="deterministic")
    observed = OrderedDict(step=tf.constant(0.0), error=tf.constant(0.0), norm=tf.constant(0.0), bits=tf.constant(0.0))
    assert codec.update({"step": tf.constant(0.25)}, observed, tf.constant(1.0))["step"].numpy() == 0.25
