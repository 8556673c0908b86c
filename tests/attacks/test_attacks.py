"""What attackers send, in a round against NumPy and by itself; and what is refused."""

import dataclasses
import functools

import numpy as np
import pytest

from fedcli.algorithms.fed_avg import FedAvg
from fedcli.algorithms.fed_sgd import FedSGD
from fedcli.attacks import attacks
from fedcli.attacks.label_flip import LabelFlip
from fedcli.attacks.noise import Noise
from fedcli.attacks.none import NoAttack
from fedcli.attacks.scaled import Scaled
from fedcli.attacks.sign_flip import SignFlip
from fedcli.datasets.base import DataSpec, Examples
from fedcli.errors import ConfigError
from fedcli.runtime.local import LocalRuntime
from tests.algorithms.conftest import MODEL
from tests.algorithms.softmax import Model, batches
from tests.runtime.conftest import SPEC, work

COUNTS = [17, 4, 9, 12]
ATTACKERS = (1, 3)
NOISE = Noise(standard_deviation=0.5)


@functools.cache
def compiled(attack, algorithm):
    from fedcli.aggregators.mean import Mean
    from fedcli.algorithms.base import Parts
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn

    sgd = SGD(learning_rate=0.1)
    parts = Parts(model_fn(MODEL, SPEC), sgd, SGD(learning_rate=1.0), Mean(), Broadcast(), attack.compiled)
    return compile_round(algorithm.build(parts))


class Played:
    """A round with attackers, by `runtime=local`: the model before and after, and what honest clients would send."""

    def __init__(self, program, *, attackers=ATTACKERS, seed=0, steps=True):
        from fedcli.training.weights import initial_weights, with_weights

        works = [work(c, 1, count, seed=seed) for c, count in enumerate(COUNTS)]
        works = [dataclasses.replace(one, attacks=int(one.client) in attackers) for one in works]
        with LocalRuntime(2, 2) as runtime:
            runtime.load(program)
            state = with_weights(runtime.initial_state((0, 0)), program, initial_weights(MODEL, SPEC, 3))
            after = runtime.run_round(state, works, (0, 1)).state
        self.before, self.after = Model.of(program, state), Model.of(program, after)
        self.moves = []
        for client, (one, count) in enumerate(zip(works, COUNTS, strict=True)):
            model, gradient = self.before, self.before.zero
            for batch in batches(client, one, count):
                gradient += (len(batch[1]) / (2 * count)) * model.gradient(batch)
                model -= (0.1 if steps else 0) * model.gradient(batch)
            self.moves.append(model - self.before if steps else -1 * gradient)

    def mean(self, moves):
        """The mean by the clients' examples."""
        total = self.before.zero
        for move, count in zip(moves, COUNTS, strict=True):
            total += (count / sum(COUNTS)) * move
        return total


def test_a_round_agrees_with_numpy():
    played = Played(compiled(SignFlip(factor=2.0), FedAvg()))
    sent = [move * (-2 if client in ATTACKERS else 1) for client, move in enumerate(played.moves)]
    (played.after - played.before).assert_close(played.mean(sent))


def test_gradients_are_attacked_too():
    played = Played(compiled(SignFlip(), FedSGD()), steps=False)
    sent = [move * (-1 if client in ATTACKERS else 1) for client, move in enumerate(played.moves)]
    (played.after - played.before).assert_close(played.mean(sent))


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        (SignFlip(), [-1.0, 2.0]),
        (SignFlip(factor=4.0), [-4.0, 8.0]),
        (Scaled(), [10.0, -20.0]),
        (Scaled(factor=-3.0), [-3.0, 6.0]),
    ],
)
def test_what_is_sent_of_a_tensor(attack, expected):
    assert np.asarray(attack.update(np.array([1.0, -2.0], np.float32))).tolist() == expected


@pytest.mark.parametrize(("replace", "mean"), [(True, 0.0), (False, 7.0)])
def test_noise_replaces_an_update_or_is_added_to_it(replace, mean):
    import tensorflow as tf

    tf.random.set_seed(1)
    sent = np.asarray(Noise(standard_deviation=2.0, replace=replace).update(tf.fill([10_000], 7.0)))
    assert sent.mean() == pytest.approx(mean, abs=0.1)
    assert sent.std() == pytest.approx(2.0, rel=0.05)


def test_noise_has_its_size_and_follows_the_seed():
    program = compiled(NOISE, FedAvg())
    played = Played(program)
    honest = [move * (client not in ATTACKERS) for client, move in enumerate(played.moves)]
    noise = played.after - played.before - played.mean(honest)
    values = np.concatenate([noise.kernel.ravel(), noise.bias])
    expected = 0.5 * np.hypot(*(COUNTS[client] / sum(COUNTS) for client in ATTACKERS))
    # 148 numbers: their standard deviation has a relative standard error of 6 %.
    assert values.std() == pytest.approx(expected, rel=0.2)
    assert abs(values.mean()) < 4 * expected / np.sqrt(values.size)
    Played(program).after.assert_close(played.after, rtol=0, atol=0)
    with pytest.raises(AssertionError):
        Played(program, seed=1).after.assert_close(played.after, rtol=0, atol=1e-3)


def test_without_attackers_the_numbers_are_those_without_an_attack():
    honest, attacked = compiled(NoAttack(), FedAvg()), compiled(NOISE, FedAvg())
    assert (honest.tells_attackers, attacked.tells_attackers) == (False, True)
    theirs = Played(honest, attackers=range(4))
    Played(attacked, attackers=()).after.assert_close(theirs.after, rtol=0, atol=0)
    assert attacked.communication == honest.communication


def test_the_cache_keeps_that_clients_are_told(tmp_path):
    from fedcli.runtime.engine.round_cache import RoundCache

    cache = RoundCache(tmp_path)
    cache.store("key", compiled(NOISE, FedAvg()))
    loaded = cache.load("key")
    assert loaded is not None
    assert loaded.tells_attackers


@pytest.mark.parametrize(("rotate", "expected"), [(None, [9, 0, 5, 4]), (1, [1, 0, 5, 6]), (-3, [7, 6, 1, 2])])
def test_labels_are_flipped(rotate, expected):
    examples = Examples(np.zeros((4, 2)), np.array([0, 9, 4, 5], np.int32))
    found = LabelFlip(rotate=rotate).examples(examples, 10)
    assert found.y.tolist() == expected
    assert found.y.dtype == np.int32
    assert found.x is examples.x
    assert examples.y.tolist() == [0, 9, 4, 5]


def test_labels_that_are_none_cannot_be_flipped():
    text = DataSpec("text", (100,), "int32", (100,), 86, 715)
    with pytest.raises(ConfigError, match="text data set have none"):
        LabelFlip().check(text)
    SignFlip().check(text)
    with pytest.raises(ConfigError, match=r"attack.rotate=8: leaves each of 4 labels as it is"):
        LabelFlip(rotate=8).check(SPEC)
    LabelFlip(rotate=-1).check(SPEC)


@pytest.mark.parametrize(
    ("attack", "fields"),
    [
        (SignFlip(fraction=1.1, factor=0.0), ["fraction", "factor"]),
        (Scaled(factor=float("inf")), ["factor"]),
        (Noise(fraction=-0.1, standard_deviation=0.0), ["fraction", "standard_deviation"]),
    ],
)
def test_problems_name_the_fields(attack, fields):
    assert [field for field, _ in attack.problems()] == fields


@pytest.mark.parametrize("name", attacks.components)
def test_defaults_have_no_problems(name):
    attack = attacks[name](name=name)
    assert not list(attack.problems())
    assert attack.share == (0.0 if name == "none" else 0.2)
    # What is compiled does not depend on who attacks: a sweep over fractions compiles once.
    assert attack.compiled is None or attack.compiled == dataclasses.replace(attack, fraction=0.5).compiled
