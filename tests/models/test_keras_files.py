"""Keras files of other forms than today's, which are sound, and files that would take all time or memory."""

import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest

from fedcli.errors import ConfigError, DataError
from fedcli.models import keras_files
from fedcli.models.architecture import recognise
from fedcli.models.char_rnn import CharRNN
from fedcli.models.keras_files import read_keras_file
from fedcli.models.limited_process import Limits
from fedcli.models.mlp import MLP

RNG = np.random.default_rng(0)
CHARACTERS, DIM, UNITS = 86, 3, 4


def weights(*shapes):
    return [RNG.normal(size=shape).astype(np.float32) for shape in shapes]


EMBEDDING = weights((CHARACTERS, DIM))
GRU = weights((DIM, 3 * UNITS), (UNITS, 3 * UNITS), (3 * UNITS,))
DENSE = weights((UNITS, CHARACTERS), (CHARACTERS,))
ALL = [*EMBEDDING, *GRU, *DENSE]


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def text_layers(gru=None, dense=None):
    """Describes the layers of a character RNN; `gru` and `dense` are changes."""
    return [
        layer("Embedding", "embedding_1", input_dim=CHARACTERS, output_dim=DIM),
        layer("GRU", "gru_1", **{"units": UNITS, "return_sequences": True, "reset_after": False, **(gru or {})}),
        layer("Dense", "dense_1", **{"units": CHARACTERS, **(dense or {})}),
    ]


@pytest.fixture
def write(tmp_path):
    """Writes an HDF5 file as Keras does and returns its path."""

    def write(layers, stored=(EMBEDDING, GRU, DENSE), names=("embedding_1", "gru_1", "dense_1"), **options):
        path = tmp_path / "model.h5"
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
            groups = file.create_group("model_weights")
            groups.attrs["layer_names"] = [name.encode() for name in names]
            for name, arrays in zip(names, stored, strict=True):
                group = groups.create_group(name)
                for position, array in enumerate(arrays):
                    group.create_dataset(f"{name}/w{position}", data=array, **(options if array.ndim else {}))
                group.attrs["weight_names"] = [f"{name}/w{position}".encode() for position in range(len(arrays))]
        return path

    return write


def found(path):
    return recognise(path, read_keras_file(path))


def assert_same(arrays, expected):
    for array, other in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(array, other)


def test_a_layer_that_was_renamed_has_the_weights_at_its_place(write):
    layers = text_layers()
    layers[1]["config"]["name"] = "gru_9"
    assert_same(found(write(layers)).weights, ALL)


def test_layers_without_weights_do_not_count(write):
    names = ("embedding_1", "dropout_1", "gru_1", "dense_1")
    layers = text_layers()
    layers.insert(1, layer("Dropout", "dropout_1", rate=0.1))
    assert_same(found(write(layers, (EMBEDDING, [], GRU, DENSE), names)).weights, ALL)


def test_a_gru_of_keras_1(write):
    layers = [
        layer("Embedding", "embedding_1", input_dim=CHARACTERS, output_dim=DIM),
        layer("GRU", "gru_1", output_dim=UNITS, return_sequences=True, inner_activation="sigmoid", activation="tanh"),
        layer("Dense", "dense_1", output_dim=CHARACTERS, activation="linear", bias=True),
    ]
    gates = [np.split(array, 3, axis=-1) for array in GRU]
    apart = [gates[which][gate] for gate in range(3) for which in range(3)]
    recognised = found(write(layers, (EMBEDDING, apart, DENSE)))
    assert recognised.model == CharRNN(embedding_dim=DIM, units=UNITS, reset_after=False)
    assert_same(recognised.weights, ALL)
    layers[1]["config"]["inner_activation"] = "hard_sigmoid"
    with pytest.raises(ConfigError, match="GRU has recurrent_activation=hard_sigmoid, fedcli's has sigmoid"):
        found(write(layers, (EMBEDDING, apart, DENSE)))


def test_layers_that_keras_1_called_otherwise(write):
    with pytest.raises(ConfigError, match="was saved by Keras 1: it has a layer of class Convolution2D") as caught:
        read_keras_file(write([layer("Convolution2D", "c")], [DENSE], ["c"]))
    assert "save it again" in caught.value.hint


def test_the_bias_tells_the_form_of_a_gru_that_does_not_say_it(write):
    layers = text_layers()
    del layers[1]["config"]["reset_after"]
    assert found(write(layers)).model.reset_after is False
    later = [*GRU[:2], *weights((2, 3 * UNITS))]
    recognised = found(write(layers, (EMBEDDING, later, DENSE)))
    assert recognised.model.reset_after is True
    assert_same(recognised.weights, [*EMBEDDING, *later, *DENSE])


def test_softmax_in_all_its_forms(write):
    for layers in (
        text_layers(dense={"activation": "softmax"}),
        text_layers(dense={"activation": "softmax_v2"}),
        [*text_layers(), layer("Activation", "a", activation="softmax")],
        [*text_layers(), layer("Softmax", "s")],
        [*text_layers(), layer("Activation", "a", activation="linear")],
    ):
        assert_same(found(write(layers)).weights, ALL)


def test_a_dense_layer_at_each_position(write):
    layers = text_layers()
    layers[2] = layer("TimeDistributed", "dense_1", layer=layer("Dense", "inner", units=CHARACTERS))
    assert_same(found(write(layers)).weights, ALL)
    layers[2]["config"]["trainable"] = False
    assert found(write(layers)).frozen == ("Dense",)
    layers[2] = layer("TimeDistributed", "dense_1", layer=layer("Lambda", "inner"))
    with pytest.raises(ConfigError, match="layer of class TimeDistributed"):
        found(write(layers))
    layers[2] = layer("TimeDistributed", "dense_1", layer={**layer("Dense", "inner"), "module": "evil"})
    with pytest.raises(ConfigError, match="needs code from evil"):
        found(write(layers))


def test_an_activation_of_its_own_belongs_to_the_layer_before(write):
    hidden, last = weights((6, 5), (5,)), weights((5, 3), (3,))
    layers = [
        layer("Flatten", "f", batch_input_shape=[None, 2, 3]),
        layer("Dense", "d1", units=5),
        layer("Activation", "a", activation="relu"),
        layer("Dense", "d2", units=3),
    ]
    recognised = found(write(layers, (hidden, last), ("d1", "d2")))
    assert recognised.model == MLP(hidden_units=[5])
    layers.insert(3, layer("Activation", "b", activation="tanh"))
    with pytest.raises(ConfigError, match=r"layer of class Activation \(tanh\) after Dense"):
        found(write(layers, (hidden, last), ("d1", "d2")))


def test_more_layers_than_weights(write):
    layers = text_layers()
    layers.insert(2, {**layers[1], "config": {**layers[1]["config"], "name": "gru_2"}})
    with pytest.raises(DataError, match="describes 4 layers with weights, but holds the weights of 3"):
        found(write(layers))


def test_a_list_of_names_that_keras_cut(write):
    path = write(text_layers())
    with h5py.File(path, "a") as file:
        attributes = file["model_weights"].attrs
        names = attributes["layer_names"]
        del attributes["layer_names"]
        attributes["layer_names0"], attributes["layer_names1"] = names[:2], names[2:]
    assert_same(found(path).weights, ALL)


def test_compressed_weights(write):
    assert_same(found(write(text_layers(), compression="gzip")).weights, ALL)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_no_damage_of_the_file(write, number):
    bias = DENSE[1].copy()
    bias[7] = number
    with pytest.raises(DataError, match="dense_1/w1 have numbers that are not finite") as caught:
        found(write(text_layers(), (EMBEDDING, GRU, [DENSE[0], bias])))
    assert "diverged" in caught.value.hint


def test_a_data_set_that_is_named_many_times(write):
    path = write(text_layers())
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1"]
        group.attrs["weight_names"] = list(group.attrs["weight_names"]) * 750
    with pytest.raises(DataError, match="dense_1 names 1,500 weights"):
        read_keras_file(path)


def test_a_data_set_that_many_layers_name(write):
    large = weights((500, 500), (500,))
    layers = [layer("Dense", f"d{number}", units=500) for number in range(40)]
    path = write(layers[:1], [large], ["d0"])
    with h5py.File(path, "a") as file:
        groups = file["model_weights"]
        for number in range(1, 40):
            groups[f"d{number}"] = groups["d0"]
        groups.attrs["layer_names"] = [f"d{number}".encode() for number in range(40)]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
    with pytest.raises(DataError, match="have more bytes than the file"):
        read_keras_file(path)


def test_an_archive_whose_description_unpacks_to_far_more(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 10_000_000)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(DataError, match=r"config\.json unpacks to 10000000 bytes"):
        read_keras_file(tmp_path / "bomb.keras")


def test_an_archive_that_names_no_weights_of_a_layer(tmp_path):
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.create_group("layers/other")
    with zipfile.ZipFile(tmp_path / "it.keras", "w") as archive:
        config = {"class_name": "Sequential", "config": {"layers": [layer("Dense", "d", units=1)]}}
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", data.getvalue())
    with pytest.raises(DataError, match="describes a layer d, but holds no weights by that name"):
        read_keras_file(tmp_path / "it.keras")


def test_a_file_is_read_once_while_it_stays_the_same(write, monkeypatch):
    path = write(text_layers())
    first = read_keras_file(path)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it is read again"))
    assert_same([w for found in read_keras_file(path) for w in found.weights], ALL)
    with pytest.raises(ValueError, match="read-only"):
        first[0].weights[0][0] = 1
    monkeypatch.undo()
    os.utime(path, ns=(1, 1))
    assert_same([w for found in read_keras_file(path) for w in found.weights], ALL)
    assert read_keras_file(path) is not first


def test_a_pipe_and_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", tmp_path.joinpath("/dev/zero")):
        with pytest.raises(DataError, match="is not a regular file"):
            read_keras_file(path)


def test_a_file_that_takes_too_long_or_too_much(write, monkeypatch):
    """Whatever the HDF5 library does with it: here reading takes the time and the memory."""
    path = write(text_layers())
    monkeypatch.setattr(keras_files, "_limits", lambda size: Limits(1, 60, 2**28, 2**20))

    def endless(*_):
        while True:
            pass

    monkeypatch.setattr(keras_files, "read_hdf5", endless)
    with pytest.raises(DataError, match="truncated or damaged: reading it takes more than 1 s of processor time"):
        read_keras_file(path)
    monkeypatch.setattr(keras_files, "read_hdf5", lambda *_: bytes(2**40))
    with pytest.raises(DataError, match="truncated or damaged: its sizes make no sense"):
        read_keras_file(path)


def test_a_byte_that_makes_the_hdf5_library_crash(write):
    """The text of an attribute gets a type that HDF5 does not have: its library follows an address that is none."""
    path = write(text_layers())
    data = bytearray(path.read_bytes())
    type_of_text = data.index(b"\x19\x01", data.index(b"model_config"))
    data[type_of_text + 1] = 2
    path.write_bytes(data)
    with pytest.raises(DataError, match="is truncated or damaged: "):
        read_keras_file(path)
