"""Sub-models are taken out of models and put back where they were."""

import numpy as np
import pytest
import tensorflow as tf

from fedcli.compression.run_seed import SEED, initial_seed, next_round
from fedcli.compression.sub_models import chosen_units, put_back, taken_out
from fedcli.datasets.base import DataSpec
from fedcli.models.cnn import CNN
from fedcli.models.mlp import MLP

SPEC = DataSpec("image", (9, 10, 1), "float32", (), 4, 5)
MODELS = [CNN(), MLP(hidden_units=[7, 5])]


def weights(model):
    rng = np.random.default_rng(0)
    return [tf.constant(rng.normal(size=w.shape), tf.float32) for w in model.build(SPEC).trainable_weights]


def seeded(seed):
    return {**initial_seed(), SEED: tf.constant(seed, tf.int32)}


@pytest.mark.parametrize("model", MODELS, ids=["cnn", "mlp"])
@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_what_is_taken_out_fits_the_sub_model_and_goes_back(model, share):
    sub = model.sub_model(SPEC, share)
    units = chosen_units(sub, seeded([3, 4]))
    whole = weights(model)
    part = taken_out(sub, whole, units)
    assert [x.shape for x in part] == [w.shape for w in sub.build(SPEC).trainable_weights]
    back = put_back(sub, part, units)
    for original, returned in zip(whole, back, strict=True):
        there = returned != 0
        np.testing.assert_array_equal(tf.where(there, original, 0.0), returned)
    assert sum(np.count_nonzero(x) for x in back) == sum(tf.size(x) for x in part)


@pytest.mark.parametrize("model", MODELS, ids=["cnn", "mlp"])
def test_a_sub_model_computes_what_the_model_with_zeros_does(model):
    sub = model.sub_model(SPEC, 0.5)
    units = chosen_units(sub, seeded([1, 2]))
    whole = model.build(SPEC)
    part = sub.build(SPEC)
    values = [0.1 * x for x in weights(model)]
    kept = taken_out(sub, values, units)
    part.set_weights([x.numpy() for x in kept])
    # Outputs of layers scaled by s are weights out of them scaled by s.
    scales = [size / count for size, count in zip(sub.units, sub.kept, strict=True)]
    masked = put_back(sub, kept, units)
    for layer, scale in enumerate(scales, 1):
        masked[2 * layer] *= scale
    whole.set_weights([x.numpy() for x in masked])
    x = np.random.default_rng(0).random((3, *SPEC.x_shape), dtype=np.float32)
    np.testing.assert_allclose(part(x), whole(x), rtol=1e-4, atol=1e-5)


def test_units_are_drawn_evenly_anew_each_round_and_without_replacement():
    sub = MLP(hidden_units=[10, 6]).sub_model(SPEC, 0.5)
    random, counts, seen = seeded([5, 6]), np.zeros(10), set()
    draw = tf.function(lambda random: (chosen_units(sub, random), next_round(random)))
    for _ in range(400):
        (first, second), random = draw(random)
        first, second = first.numpy(), second.numpy()
        assert len(set(first)) == 5
        assert len(set(second)) == 3
        assert list(first) == sorted(first)
        counts[first] += 1
        seen.add((*first, *second))
    # Each count has mean 200 and standard deviation 10: wrong in one of 10^5 draws of seeds, and the seed is fixed.
    assert np.all(np.abs(counts - 200) < 50)
    assert len(seen) > 300


def test_a_share_keeps_at_least_one_unit():
    assert MLP(hidden_units=[10, 2]).sub_model(SPEC, 0.01).kept == (1, 1)
    assert CNN().sub_model(SPEC, 0.75).kept == (24, 48, 384)
