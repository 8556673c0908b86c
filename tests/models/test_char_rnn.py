import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.datasets.base import DataSpec
from fedcli.models.char_rnn import CharRNN

LENGTH, CHARACTERS = 7, 11
SPEC = DataSpec("text", (LENGTH,), "int32", (LENGTH,), CHARACTERS, 1)
FORMS = pytest.mark.parametrize("reset_after", [True, False])


def both(reset_after, embedding_dim=3, units=5, seed=0):
    """fedcli's network and Keras's, with the same random weights (biases too)."""
    config = CharRNN(embedding_dim=embedding_dim, units=units, reset_after=reset_after)
    ours, keras = config.build(SPEC), config.export(SPEC)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.7, v.shape).astype(np.float32) for v in keras.trainable_weights]
    for model in (ours, keras):
        for variable, weight in zip(model.trainable_weights, weights, strict=True):
            variable.assign(weight)
    return ours, keras


def loss_and_gradients(tf, model, ids, targets, compiled):
    def compute():
        with tf.GradientTape() as tape:
            logits = model(ids, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses)
        return loss, logits, [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_weights)]

    return (tf.function(compute) if compiled else compute)()


@FORMS
def test_weights_are_those_of_keras(tensorflow, reset_after):
    ours, keras = both(reset_after)
    assert [v.shape for v in ours.trainable_weights] == [v.shape for v in keras.trainable_weights]
    assert [v.name.split("/")[-1] for v in ours.trainable_weights] == [
        v.name.split("/")[-1] for v in keras.trainable_weights
    ]
    assert ours.non_trainable_weights == keras.non_trainable_weights == []


@FORMS
def test_size_is_that_of_the_study(tensorflow, reset_after):
    spec = DataSpec("text", (100,), "int32", (100,), 86, 715)
    model = CharRNN(reset_after=reset_after).build(spec)
    assert model.count_params() == (4_048_470 if reset_after else 4_045_398)


@FORMS
def test_same_seed_same_first_weights_as_keras(tensorflow, reset_after):
    config = CharRNN(embedding_dim=3, units=5, reset_after=reset_after)
    weights = []
    for build in (config.build, config.export):
        tensorflow.keras.utils.set_random_seed(5)
        weights.append(build(SPEC).get_weights())
    for ours, keras in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, keras)


def test_a_graph_computes_no_first_weights(tensorflow):
    # It would do so for every client, before its weights are given; an orthogonal matrix takes half a second.
    with tensorflow.Graph().as_default() as graph:
        CharRNN().build(SPEC)
    assert not [op.name for op in graph.get_operations() if op.type == "Qr" or "Random" in op.type]


@FORMS
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("length", [1, 2, LENGTH])
def test_numbers_and_gradients_are_those_of_keras(tensorflow, reset_after, compiled, length):
    tf = tensorflow
    ours, keras = both(reset_after)
    rng = np.random.default_rng(1)
    ids = tf.constant(rng.integers(0, CHARACTERS, (4, length)), tf.int32)
    targets = tf.constant(rng.integers(0, CHARACTERS, (4, length)), tf.int32)
    np.testing.assert_allclose(ours(ids, training=False), keras(ids), rtol=1e-5, atol=1e-6)
    loss, logits, gradients = loss_and_gradients(tf, ours, ids, targets, compiled)
    expected_loss, expected_logits, expected = loss_and_gradients(tf, keras, ids, targets, compiled)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-6)
    for ours_of, keras_of in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours_of, keras_of, rtol=1e-4, atol=1e-6)
        assert np.abs(ours_of).max() > 0 or length == 1  # the first state is 0: no gradient of the recurrent kernel


@FORMS
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 4), st.integers(1, 6)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size(tensorflow, reset_after, sizes, seed):
    batch, length, embedding_dim, units = sizes
    ours, keras = both(reset_after, embedding_dim, units, seed)
    ids, targets = np.random.default_rng(seed).integers(0, CHARACTERS, (2, batch, length)).astype(np.int32)
    ours_of = loss_and_gradients(tensorflow, ours, ids, targets, False)
    keras_of = loss_and_gradients(tensorflow, keras, ids, targets, False)
    tensorflow.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), ours_of, keras_of
    )


@FORMS
def test_padding_at_the_end_changes_nothing_before_it(tensorflow, reset_after):
    ours, _ = both(reset_after)
    ids = np.random.default_rng(2).integers(0, CHARACTERS, (2, LENGTH)).astype(np.int32)
    padded = ids.copy()
    padded[:, 4:] = 0
    for training in (True, False):
        before, after = (ours(x, training=training)[:, :4] for x in (ids, padded))
        np.testing.assert_array_equal(before, after)


@FORMS
def test_exported_file_opens_with_plain_keras(tensorflow, reset_after, tmp_path):
    ours, keras = both(reset_after)
    keras.save(tmp_path / "model.keras")
    loaded = tensorflow.keras.models.load_model(tmp_path / "model.keras")
    ids = np.random.default_rng(3).integers(0, CHARACTERS, (2, LENGTH)).astype(np.int32)
    np.testing.assert_allclose(loaded(ids), ours(ids), rtol=1e-5, atol=1e-6)
    assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}
