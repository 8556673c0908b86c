"""Training in one place: the numbers of plain Keras, whatever the shards."""

from dataclasses import replace

import numpy as np
import pytest

from fedcli.config.pretrain import PretrainConfig
from fedcli.datasets.base import PADDING, Examples
from fedcli.models.char_rnn import CharRNN


@pytest.fixture
def config():
    return PretrainConfig(CharRNN(embedding_dim=4, units=8), "text.txt", "mine", batch_size=8, sequence_length=20)


@pytest.fixture
def network(config):
    from fedcli.training.network import Network
    from fedcli.training.weights import initial_weights

    made = []

    def make(**changes):
        weights = initial_weights(config.model, config.spec, 0)
        made.append(Network(replace(config, **changes), weights, len(weights)))
        return made[-1]

    yield make
    for network in made:
        network.close()


def batch(size):
    ids = np.random.default_rng(0).integers(0, 86, (size, 21)).astype(np.int32)
    return Examples(ids[:, :-1], ids[:, 1:])


@pytest.mark.parametrize("size", [8, 5, 1])
def test_shards_do_not_change_the_step(network, size):
    """Also of a batch with fewer sequences than shards."""
    one, three = network(shards=1), network(shards=3)
    for _ in range(3):
        np.testing.assert_allclose(one.train(batch(size)), three.train(batch(size)), rtol=1e-5)
    for first, second in zip(one.state, three.state, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one.evaluate(batch(size)), three.evaluate(batch(size)), rtol=1e-5)


def test_a_step_is_that_of_plain_keras(network, config):
    import tensorflow as tf

    network = network()
    plain = config.model.export(config.spec)
    plain.set_weights(network.state[: network.num_weights])
    plain.compile(
        tf.keras.optimizers.Adam(config.learning_rate), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    for _ in range(3):
        loss = plain.train_on_batch(batch(8).x, batch(8).y)
        sums = network.train(batch(8))
        assert sums[0] / sums[2] == pytest.approx(loss, rel=1e-5)
    for ours, theirs in zip(network.state[: network.num_weights], plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_padding_changes_nothing(network):
    plain, padded = network(), network()
    x, y = batch(8).x, batch(8).y
    more = Examples(np.vstack([x, np.zeros((2, 20), np.int32)]), np.vstack([y, np.full((2, 20), PADDING, np.int32)]))
    np.testing.assert_allclose(plain.train(batch(8)), padded.train(more), rtol=1e-5)
    for first, second in zip(plain.state, padded.state, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_threads_do_not_change_a_bit(network, monkeypatch):
    states = []
    for cores in (1, 3):
        monkeypatch.setattr("fedcli.training.network.available_cores", lambda cores=cores: cores)
        one = network(shards=3)
        for _ in range(3):
            one.train(batch(8))
        states.append(one.state)
    assert all(np.array_equal(a, b) for a, b in zip(*states, strict=True))


def test_a_state_is_a_copy(network):
    one = network()
    before = one.state
    kept = [array.copy() for array in before]
    sums = one.evaluate(batch(8))
    one.train(batch(8))
    assert all(np.array_equal(a, b) for a, b in zip(before, kept, strict=True))
    one.state = before
    np.testing.assert_array_equal(one.evaluate(batch(8)), sums)
