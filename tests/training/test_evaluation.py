"""Loss and accuracy: padding does not count, and the numbers do not depend on batches or threads."""

import numpy as np
import pytest

from fedcli.datasets.base import PADDING, DataSpec, Examples
from fedcli.models.char_rnn import CharRNN
from fedcli.models.mlp import MLP

TEXT = DataSpec("text", (12,), "int32", (12,), 86, 3)
RNN = CharRNN(embedding_dim=8, units=16)
IMAGES = DataSpec("image", (6, 6, 1), "float32", (), 4, 5)


def text(lengths):
    """Sequences of which so many characters are real, the rest padding."""
    rng = np.random.default_rng(0)
    x = np.zeros((len(lengths), 12), np.int32)
    y = np.full((len(lengths), 12), PADDING, np.int32)
    for row, length in enumerate(lengths):
        ids = rng.integers(86, size=length + 1)
        x[row, :length], y[row, :length] = ids[:-1], ids[1:]
    return Examples(x, y)


@pytest.fixture(scope="module")
def weights():
    from fedcli.training.weights import initial_weights

    return initial_weights(RNN, TEXT, 0)


def evaluate(weights, examples, model=RNN, spec=TEXT, batch_size=2, threads=1):
    from fedcli.training.evaluation import Evaluator

    evaluator = Evaluator(model, spec, batch_size, threads)
    try:
        return evaluator(weights, examples)
    finally:
        evaluator.close()


def logits_of(weights, x):
    model = RNN.export(TEXT)
    for variable, weight in zip(model.trainable_weights, weights, strict=True):
        variable.assign(weight)
    return model(x).numpy().astype(np.float64)


def test_agrees_with_numpy_over_the_real_characters(weights):
    examples = text([12, 5, 1])
    logits = logits_of(weights, examples.x)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    real = [(row, position) for row, length in enumerate([12, 5, 1]) for position in range(length)]
    loss = np.mean([-logs[row, position, examples.y[row, position]] for row, position in real])
    hits = np.mean([logits[row, position].argmax() == examples.y[row, position] for row, position in real])
    evaluation = evaluate(weights, examples)
    assert evaluation.loss == pytest.approx(loss, rel=1e-5)
    assert evaluation.accuracy == pytest.approx(hits)


def test_padding_changes_neither_loss_nor_accuracy(weights):
    examples = text([7, 7])
    unpadded = evaluate(weights, examples)
    other = Examples(np.where(examples.y == PADDING, 55, examples.x), examples.y)
    assert evaluate(weights, other) == unpadded
    empty = text([7, 7, 0])
    assert evaluate(weights, empty).accuracy == unpadded.accuracy


def test_threads_change_nothing(weights):
    examples = text([12] * 9 + [3])
    assert evaluate(weights, examples, threads=1) == evaluate(weights, examples, threads=3)


def test_new_weights_are_used(weights):
    from fedcli.training.evaluation import Evaluator

    evaluator = Evaluator(RNN, TEXT, 4, 2)
    examples = text([12] * 6)
    first = evaluator(weights, examples)
    assert evaluator([2 * w for w in weights], examples) != first
    assert evaluator(list(weights), examples) == first
    evaluator.close()


def test_the_next_evaluator_of_a_model_makes_no_graph(weights, monkeypatch):
    from fedcli.training import evaluation

    def made(*arguments):
        raise NotImplementedError

    examples = text([12, 4])
    first = evaluate(weights, examples)
    monkeypatch.setattr(evaluation, "_EvalSession", made)
    assert evaluate(weights, examples) == first
    assert evaluate([2 * w for w in weights], examples) != first
    with pytest.raises(NotImplementedError):
        evaluate(weights, examples, model=CharRNN(embedding_dim=8, units=17))


def test_nothing_to_evaluate_on_is_not_a_number(weights):
    evaluation = evaluate(weights, text([]))
    assert np.isnan(evaluation.loss)
    assert np.isnan(evaluation.accuracy)


def test_images():
    from fedcli.training.weights import initial_weights

    model = MLP(hidden_units=[])
    rng = np.random.default_rng(1)
    examples = Examples(rng.random((7, 6, 6, 1), dtype=np.float32), rng.integers(4, size=7).astype(np.int32))
    kernel, bias = weights = initial_weights(model, IMAGES, 3)
    logits = examples.x.reshape(7, -1) @ kernel + bias
    evaluation = evaluate(weights, examples, model, IMAGES)
    assert evaluation.accuracy == pytest.approx(np.mean(logits.argmax(1) == examples.y))
    expected = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(7), examples.y])
    assert evaluation.loss == pytest.approx(expected, rel=1e-5)


def test_training_on_padded_text_agrees_with_unpadded():
    """The gradient of a padded batch is that of its real characters."""
    import tensorflow as tf

    from fedcli.training.learning_model import model_fn

    short = DataSpec("text", (7,), "int32", (7,), 86, 3)
    padded = text([7, 7, 7])
    gradients, losses = [], []
    for spec, x, y in ((TEXT, padded.x, padded.y), (short, padded.x[:, :7], padded.y[:, :7])):
        tf.keras.utils.set_random_seed(0)
        model = model_fn(RNN, spec)()
        with tf.GradientTape() as tape:
            output = model.forward_pass((tf.constant(x), tf.constant(y)))
        gradients.append(tape.gradient(output.loss, model.trainable_variables))
        losses.append(float(output.loss))
        assert int(output.num_examples) == 3
        metrics = model.report_local_unfinalized_metrics()
        assert float(metrics["accuracy"][1]) == 21
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(a), tf.convert_to_tensor(b), rtol=1e-4, atol=1e-7)


def test_random_characters_are_guessed_at_best(weights):
    from fedcli.training.text_probes import random_characters

    examples = random_characters(TEXT)
    again = random_characters(TEXT)
    assert np.array_equal(examples.x, again.x)
    assert np.array_equal(examples.x[:, 1:], examples.y[:, :-1])
    assert evaluate(weights, examples, batch_size=32).accuracy < 5 / 86
