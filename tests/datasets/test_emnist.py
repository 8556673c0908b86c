import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from fedcli.datasets import datasets
from fedcli.datasets.labelled import LabelledDataset
from fedcli.datasets.sqlite import ClientDatabase
from fedcli.errors import DataError


@pytest.fixture
def emnist(mirror):
    dataset = datasets["emnist"](name="emnist").load()
    yield dataset
    dataset.close()


def test_spec_needs_no_data():
    assert datasets["emnist"](name="emnist").spec.num_clients == 3383
    letters = datasets["emnist"](name="emnist", only_digits=False).spec
    assert (letters.num_clients, letters.num_classes) == (3400, 62)


def test_clients(emnist):
    assert len(emnist.client_ids) == 60
    assert list(emnist.client_ids) == sorted(emnist.client_ids)
    sizes = emnist.sizes()
    assert sum(sizes.values()) == 6067
    for client in emnist.client_ids[:5]:
        examples = emnist.client(client)
        assert examples.x.shape == (sizes[client], 28, 28, 1)
        assert examples.y.shape == (sizes[client],)
        assert (examples.x.dtype, examples.y.dtype) == (np.float32, np.int32)
        assert (examples.x.min(), examples.x.max()) == (0, 1)
        assert np.median(examples.x) == 1
        assert set(examples.y) <= set(range(10))


def test_sizes_of_some_are_those_of_all(emnist):
    sizes = emnist.sizes()
    assert list(sizes) == emnist.client_ids
    assert all(emnist.size(client) == sizes[client] for client in emnist.client_ids)
    least = sorted(sizes.values())[10]
    assert emnist.smaller_than(least) == [client for client, size in sizes.items() if size < least]
    names = emnist.client_ids[3:40:9]
    with datasets["emnist"](name="emnist", clients=names).load() as some:
        assert some.sizes() == {client: sizes[client] for client in names}
    # A client that only the other split has.
    assert emnist._database.sizes("digits_only_train", ["a", names[0], "zzz"]).tolist() == [0, sizes[names[0]], 0]


def test_test_split(emnist):
    whole = emnist.test()
    assert len(whole) == emnist.test_size() == 705
    limited = emnist.test(60)
    assert limited.x.shape == (60, 28, 28, 1)
    rows = {image.tobytes() for image in whole.x}
    assert all(image.tobytes() in rows for image in limited.x)
    np.testing.assert_array_equal(limited.y, emnist.test(60).y)


def test_test_digits_by_writer_are_the_test_split(emnist):
    tested = emnist.tested_clients()
    assert tested == list(emnist.client_ids)
    parts = [emnist.test_client(client).x for client in tested]
    np.testing.assert_array_equal(np.concatenate(parts), emnist.test().x)
    assert len(emnist.test_client("nobody")) == 0


def test_named_clients_only(emnist):
    names = list(emnist.client_ids[7:9])
    some = datasets["emnist"](name="emnist", clients=names).load()
    assert list(some.client_ids) == names
    assert list(some.sizes()) == names
    assert 0 < len(some.test()) == some.test_size() < 40
    some.close()


def test_threads_that_build_graphs(emnist):
    import tensorflow as tf

    expected = [emnist.client(client).x for client in emnist.client_ids[:8]]
    found: dict[int, np.ndarray] = {}

    def read(i):
        with tf.Graph().as_default():
            tf.constant(i)
            found[i] = emnist.client(emnist.client_ids[i]).x

    with tf.Graph().as_default():
        threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i in range(8):
        np.testing.assert_array_equal(found[i], expected[i])


def test_no_letters_in_the_mirror(mirror):
    with pytest.raises(DataError, match="no letters") as caught:
        datasets["emnist"](name="emnist", only_digits=False).load()
    assert "dataset.only_digits=true" in caught.value.hint
    assert "storage.googleapis.com" in caught.value.hint


@pytest.fixture
def database(tmp_path, tensorflow):
    """Opens a data set of 10 classes whose only training example has the features that it is called with."""

    def opened(**features):
        with closing(sqlite3.connect(tmp_path / "it.sqlite")) as connection:
            connection.executescript(
                "CREATE TABLE examples (split_name, client_id, serialized_example_proto);"
                "CREATE TABLE client_metadata (client_id, split_name, num_examples);"
                "INSERT INTO client_metadata VALUES ('anna', 'train', 1);"
            )
            connection.executemany(
                "INSERT INTO examples VALUES (?, 'anna', ?)",
                [(split, tf_example(tensorflow, **features)) for split in ("train", "test")],
            )
            connection.commit()
        spec = datasets["emnist"](name="emnist").spec
        return LabelledDataset(spec, ClientDatabase(tmp_path / "it.sqlite"), "pixels", "train", "test")

    return opened


def tf_example(tensorflow, label, pixels=784):
    train = tensorflow.train
    kind = "int64_list" if isinstance(label, int) else "float_list"
    values = train.Int64List(value=[label]) if isinstance(label, int) else train.FloatList(value=[label])
    features = {
        "label": train.Feature(**{kind: values}),
        "pixels": train.Feature(float_list=train.FloatList(value=[0.5] * pixels)),
    }
    return train.Example(features=train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize("label", [10, 62, -1, 2**40, 2**32])
def test_a_label_beyond_the_classes_is_refused(database, label):
    with database(label=label) as dataset:
        for read in (lambda: dataset.client("anna"), dataset.test, dataset.labels, lambda: dataset.pick(np.array([0]))):
            with pytest.raises(DataError) as caught:
                read()
            assert f"has the label {label}, but there are 10 classes, 0 to 9" in caught.value.message
        with pytest.raises(DataError, match=r"it\.sqlite: split train, client anna has the label"):
            dataset.client("anna")


@pytest.mark.parametrize("features", [{"label": 1.5}, {"label": 1, "pixels": 783}])
def test_an_example_of_another_form_is_refused(database, features):
    with database(**features) as dataset, pytest.raises(DataError) as caught:
        dataset.client("anna")
    assert "has an example that is not of the data set's form (" in caught.value.message
    assert caught.value.hint.startswith("it needs pixels, float32 [28, 28, 1] and label, int64 []; ")


def test_labels_within_the_classes_are_read(database):
    with database(label=9) as dataset:
        assert dataset.client("anna").y.tolist() == dataset.labels().tolist() == [9]
