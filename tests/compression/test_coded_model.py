"""The coding of models without TFF around it."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from fedcli.aggregators.quantize import Quantize
from fedcli.compression.coded_model import ModelChange, WholeModel
from fedcli.runtime.engine.communication import CHANGE, NOT_SENT

SHAPES = [(40, 30), (30,), (30, 50)]
TYPE = tff.to_type([tff.TensorType(np.float32, shape) for shape in SHAPES])


def models(count, step=0.1, seed=0):
    """A model on its way: a random walk."""
    rng = np.random.default_rng(seed)
    model = [rng.normal(size=shape) for shape in SHAPES]
    for _ in range(count):
        yield [tf.constant(x, tf.float32) for x in model]
        model = [x + step * rng.normal(size=x.shape) for x in model]


def rounds(coded, models):
    """Yields of each round the model, what clients get, and the measurements."""

    @tf.function  # loops are many times faster in a graph
    def play(state, model):
        sent = coded.encode(state, model)
        received, observed = coded.read(sent)
        measured = coded.measure(state, model, sent, received, 0)
        return received, measured, coded.next_state(state, received, observed)

    state = coded.initial_state()
    for model in models:
        received, measured, state = play(state, model)
        yield model, received, {name: float(value) for name, value in measured.items()}


def error(model, received):
    return float(sum(tf.reduce_sum(tf.square(a - b)) for a, b in zip(model, received, strict=True)) ** 0.5)


def test_small_tensors_are_whole_and_large_ones_near():
    for model, received, _ in rounds(WholeModel(TYPE, Quantize(bits=8).codec, 100), models(2)):
        np.testing.assert_array_equal(model[1], received[1])
        for one, other in ((model[0], received[0]), (model[2], received[2])):
            span = float(tf.reduce_max(one) - tf.reduce_min(one))
            np.testing.assert_allclose(one, other, atol=span / 255)
            assert not np.array_equal(one, other)


def test_distortion_is_the_relative_squared_error():
    for model, received, measured in rounds(WholeModel(TYPE, Quantize(bits=3).codec, 100), models(2)):
        norm = sum(np.sum(np.square(x)) for x in model)
        assert measured["distortion"] == pytest.approx(error(model, received) ** 2 / norm, rel=1e-4)


def test_the_same_state_sends_the_same_message():
    coded = WholeModel(TYPE, Quantize(bits=3, rounding="stochastic", rotate=True).codec, 100)
    (model,) = models(1)
    state = coded.initial_state()
    one, again = (tf.nest.flatten(coded.encode(state, model)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    received, observed = coded.read(coded.encode(state, model))
    following = tf.nest.flatten(coded.encode(coded.next_state(state, received, observed), model))
    assert not all(np.array_equal(a, b) for a, b in zip(one, following, strict=True))


@pytest.mark.parametrize("kind", [WholeModel, ModelChange])
def test_huffman_learns_from_what_the_server_sent(kind):
    coded = kind(TYPE, Quantize(bits=6, code="huffman").codec, 100)
    streams = [measured["stream_bits"] for *_, measured in rounds(coded, models(4))]
    # At first each of the 64 levels is as likely; the walk's numbers are normal ones.
    assert streams[0] == pytest.approx(6 * (40 * 30 + 30 * 50), rel=0.01)
    learnt = streams[1:] if kind is WholeModel else streams[2:]  # a change that says something is that of round 2
    assert all(bits < 0.92 * streams[0] for bits in learnt)


def test_the_first_change_is_the_whole_model():
    coded = ModelChange(TYPE, Quantize(bits=3, rounding="dithered", rotate=True).codec, 100)
    (_, _, first), (model, received, second) = rounds(coded, models(2))
    assert first["distortion"] == 0
    assert first["bits_per_element"] == 32
    assert second["distortion"] > 0
    assert error(model, received) > 0


def test_a_change_needs_only_the_last_known_model():
    coded = ModelChange(TYPE, Quantize(bits=3).codec, 100)
    walk = list(models(3))
    state, known = coded.initial_state(), walk[0]
    for model in walk:
        sent = coded.encode(state, model)
        assert list(sent) == [CHANGE, NOT_SENT]
        for one, other in zip(sent[NOT_SENT], known, strict=True):
            np.testing.assert_array_equal(one, other)
        known, observed = coded.read(sent)
        state = coded.next_state(state, known, observed)


@pytest.mark.parametrize("bits", [1, 2])
def test_a_coding_that_errs_more_than_it_says_does_not_run_away(bits):
    quantize = Quantize(bits=bits, rounding="stochastic", rotate=True)
    walk = list(models(30))
    known = walk[0]
    for model, received, _ in rounds(ModelChange(TYPE, quantize.codec, 100), walk):
        assert error(model, received) <= error(model, known) + 1e-4
        known = received
    # The change that is to be coded stays a few steps of the walk.
    assert error(walk[-1], known) < 10 * error(walk[0], walk[1])


def test_errors_of_changes_do_not_add_up():
    quantize = Quantize(bits=2, rounding="stochastic")
    walk = list(models(40))
    errors = [error(model, received) for model, received, _ in rounds(ModelChange(TYPE, quantize.codec, 100), walk)]
    assert max(errors[-10:]) < 1.5 * max(errors[1:11])

    # Against coding how the server's model has changed, which forgets what the coding lost.
    steps = [[b - a for a, b in zip(one, other, strict=True)] for one, other in itertools.pairwise(walk)]
    open_loop, known = [], walk[0]
    for model, (_, step, _) in zip(walk[1:], rounds(WholeModel(TYPE, quantize.codec, 100), steps), strict=True):
        known = [a + b for a, b in zip(known, step, strict=True)]
        open_loop.append(error(model, known))
    assert open_loop[-1] > 3 * open_loop[0]
    assert open_loop[-1] > 2 * errors[-1]
