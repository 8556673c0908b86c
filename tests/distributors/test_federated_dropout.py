"""One round of Federated Dropout, computed again in NumPy."""

import numpy as np
import pytest

from fedcli.datasets.base import DataSpec
from fedcli.distributors.broadcast import Broadcast
from fedcli.distributors.federated_dropout import FederatedDropout
from fedcli.models.cnn import CNN
from fedcli.models.mlp import MLP
from fedcli.runtime.local import LocalRuntime
from tests.distributors.conftest import first_state
from tests.runtime.conftest import work


def trained(weights, mask, client, learning_rate):
    """Trains the whole model with a mask on its hidden units, scaled as dropout scales."""
    w1, b1, w2, b2 = (np.array(w, np.float64) for w in weights)
    examples, size = client.examples(), client.batch_size
    scaled = mask / mask.mean()
    for start in range(0, len(examples.y), size):
        x, y = examples.x[start : start + size].reshape(-1, 36), examples.y[start : start + size]
        before = x @ w1 + b1
        hidden = np.maximum(before, 0) * scaled
        logits = hidden @ w2 + b2
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        d_logits = (p - np.eye(4)[y]) / len(y)
        d_before = d_logits @ w2.T * scaled * (before > 0)
        w1 -= learning_rate * x.T @ d_before
        b1 -= learning_rate * d_before.sum(0)
        w2 -= learning_rate * hidden.T @ d_logits
        b2 -= learning_rate * d_logits.sum(0)
    return [w1, b1, w2, b2]


def test_a_round_is_training_with_one_dropout_mask(compiled):
    from fedcli.runtime.engine.sessions import ServerSession

    program = compiled(FederatedDropout(keep=0.4))
    where = program.model_weights()[0]
    masks = []
    with LocalRuntime(2, 2) as runtime:
        runtime.load(program)
        state = first_state(runtime, program)
        for round in range(1, 4):
            before = [state[i] for i in where]
            sub = ServerSession(program).call("prepare", state, (0,))
            # Which units were drawn is seen from what the clients get, here the biases aside.
            kernel = next(np.asarray(x) for x in sub if np.shape(x) == (36, 12))
            mask = np.array([any(np.array_equal(column, kept) for kept in kernel.T) for column in before[0].T])
            assert mask.sum() == 12
            masks.append(tuple(mask))
            clients = [work(0, round, count=17), work(1, round, count=9)]
            state = runtime.run_round(state, clients, (0, round)).state
            each = [trained(before, mask, client, 0.1) for client in clients]
            weights = [len(client.examples().y) for client in clients]
            for index, ours, *theirs in zip(where, [state[i] for i in where], *each, strict=True):
                expected = np.average(theirs, axis=0, weights=weights)
                np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-6, err_msg=program.state[index].path)
            np.testing.assert_array_equal(state[where[0]][:, ~mask], before[0][:, ~mask])
            np.testing.assert_array_equal(state[where[2]][~mask], before[2][~mask])
            assert not np.array_equal(state[where[0]], before[0])
    assert len(set(masks)) == 3


def test_both_directions_carry_the_sub_model(compiled):
    sub = 36 * 12 + 12 + 12 * 4 + 4
    bits = compiled(FederatedDropout(keep=0.4)).communication
    # Beside the learning rate down, the sum of weights and the training metrics up.
    assert 32 * sub < bits.broadcasted_bits <= 32 * sub + 64
    assert 32 * sub < bits.aggregated_bits <= 32 * sub + 400


@pytest.mark.parametrize("keep", [0.25, 0.5, 1.0])
def test_the_work_of_an_example_is_that_of_its_multiplications(keep):
    images = DataSpec("image", (28, 28, 1), "float32", (), 10, 5)
    first, second, hidden = 32 * keep, 64 * keep, 512 * keep

    def convolutional(first, second, hidden):
        return 784 * 25 * first + 196 * 25 * first * second + 49 * second * hidden + hidden * 10

    fraction = FederatedDropout(keep=keep).compute_fraction(CNN(), images)
    assert fraction == pytest.approx(convolutional(first, second, hidden) / convolutional(32, 64, 512))
    dense = (784 * 200 * keep + 200 * keep * 100 * keep + 100 * keep * 10) / (784 * 200 + 200 * 100 + 100 * 10)
    mlp = FederatedDropout(keep=keep).compute_fraction(MLP(hidden_units=[200, 100]), images)
    assert mlp == pytest.approx(dense)
    assert Broadcast().compute_fraction(CNN(), images) == 1


@pytest.mark.parametrize(
    ("keys", "field"),
    [({"keep": 0.0}, "keep"), ({"keep": 1.1}, "keep"), ({"bits": 0}, "bits"), ({"code": "elias"}, "code")],
)
def test_values_that_make_no_sense_are_refused(keys, field):
    assert [name for name, _ in FederatedDropout(**keys).problems()] == [field]
    assert not list(FederatedDropout().problems())
