import numpy as np
import pytest
import tensorflow as tf

from fedcli.datasets import datasets
from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models import models


def image(num_classes):
    return DataSpec("image", (28, 28, 1), "float32", (), num_classes, 1)


TEXT = DataSpec("text", (100,), "int32", (100,), 86, 1)


@pytest.mark.parametrize(
    ("name", "keys", "spec", "parameters"),
    [
        ("cnn", {}, image(10), 1_663_370),
        ("cnn", {}, image(62), 1_690_046),
        ("mlp", {}, image(10), 199_210),
        ("mlp", {"hidden_units": []}, image(10), 784 * 10 + 10),
        ("mlp", {"hidden_units": [5]}, image(10), 784 * 5 + 5 + 5 * 10 + 10),
        ("char_rnn", {}, TEXT, 4_048_470),
        ("char_rnn", {"reset_after": True}, TEXT, 4_048_470),
        ("char_rnn", {"reset_after": False}, TEXT, 4_045_398),
    ],
)
def test_parameters(name, keys, spec, parameters):
    model = models[name](name=name, **keys).build(spec)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == parameters
    assert model.non_trainable_variables == []


@pytest.mark.parametrize(
    ("name", "spec", "shape"),
    [
        ("cnn", image(10), [3, 10]),
        ("cnn", image(62), [3, 62]),
        ("mlp", image(62), [3, 62]),
        ("char_rnn", TEXT, [3, 100, 86]),
    ],
)
def test_output_is_logits_for_each_target(name, spec, shape):
    batch = np.random.default_rng(0).integers(0, 2, [3, *spec.x_shape]).astype(spec.x_dtype)
    logits = models[name](name=name).build(spec)(batch)
    assert logits.shape == shape
    assert logits.dtype == tf.float32
    assert tf.reduce_min(logits) < 0  # no softmax


@pytest.mark.parametrize(
    ("dataset", "parameters"), [({"only_digits": True}, 1_663_370), ({"only_digits": False}, 1_690_046)]
)
def test_emnist_gives_the_cnn_its_classes(dataset, parameters):
    spec = datasets["emnist"](name="emnist", **dataset).spec
    assert models["cnn"](name="cnn").build(spec).count_params() == parameters


@pytest.mark.parametrize(("name", "spec"), [("cnn", TEXT), ("mlp", TEXT), ("char_rnn", image(10))])
def test_data_of_another_kind_is_refused(name, spec):
    with pytest.raises(ConfigError, match=f"model={name} takes") as caught:
        models[name](name=name).check(spec)
    assert caught.value.hint.endswith("char_rnn" if spec is TEXT else "cnn, mlp")


@pytest.mark.parametrize(("name", "spec"), [("cnn", image(10)), ("mlp", image(62)), ("char_rnn", TEXT)])
def test_data_of_its_kind_is_taken(name, spec):
    models[name](name=name).check(spec)
