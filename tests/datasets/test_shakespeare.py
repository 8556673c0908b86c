import numpy as np
import pytest

from fedcli.datasets import datasets
from fedcli.datasets.base import PADDING
from fedcli.datasets.inspect import list_dataset, list_datasets, summarize
from fedcli.errors import ConfigError
from fedcli.text.vocabulary import decode

KING = "THE_TRAGEDY_OF_KING_LEAR_KING"


@pytest.fixture
def config(mirror):
    return datasets["shakespeare"](name="shakespeare")


@pytest.fixture
def shakespeare(config):
    dataset = config.load()
    yield dataset
    dataset.close()


def test_snippets_are_joined_in_order(shakespeare):
    assert len(shakespeare.client_ids) == shakespeare.spec.num_clients == 715
    king = shakespeare.client(KING)
    # Its first snippet is empty.
    assert decode(king.x[0]).startswith("What?Peace![Reads]")
    np.testing.assert_array_equal(king.x[0][1:], king.y[0][:-1])
    assert (king.x.dtype, king.y.dtype) == (np.int32, np.int32)
    assert (king.y[:-1] != PADDING).all()


def test_every_role_counts_unless_remainders_are_dropped(config, shakespeare):
    sizes = shakespeare.sizes()
    assert sizes[KING] == len(shakespeare.client(KING))
    assert config.clients_without_batches(shakespeare) == []
    dropping = config.replace(drop_remainder=True)
    study = dropping.load()
    without = dropping.clients_without_batches(study)
    assert len(without) == 335
    sizes = study.sizes()
    assert all(sizes[client] < 8 for client in without)
    study.close()


def test_test_split(shakespeare):
    whole = shakespeare.test()
    assert whole.x.shape == whole.y.shape == (shakespeare.test_size(), 100)
    assert len(shakespeare.test(50)) == 50


def test_test_text_by_role_is_the_test_split(config, shakespeare):
    tested = shakespeare.tested_clients()
    assert set(tested) < set(shakespeare.client_ids)
    parts = [shakespeare.test_client(client).x for client in tested]
    np.testing.assert_array_equal(np.concatenate(parts), shakespeare.test().x)
    assert not len(shakespeare.test_client(next(iter(set(shakespeare.client_ids) - set(tested)))))


def test_named_roles(config):
    with config.replace(clients=[KING], sequence_length=20).load() as king:
        assert list(king.sizes()) == [KING]
        assert king.client(KING).x.shape[1] == 20
        assert 0 < len(king.test()) < 1000


def test_misspelt_role(config):
    with pytest.raises(ConfigError) as caught:
        config.replace(clients=["THE_TRAGEDY_OF_KING_LEAR_KNG"]).load()
    assert KING in caught.value.hint


def test_listing_and_summary(config, shakespeare):
    listing = list_dataset(config)
    assert listing.cached
    assert listing.path.endswith("tff-datasets-public/shakespeare.sqlite")
    assert listing.clients == 715
    summary = summarize(config, shakespeare)
    assert (summary.clients, summary.clients_without_batches, summary.labels_clients) == (715, 0, 100)
    assert summary.examples_min <= summary.examples_median <= summary.examples_max <= summary.examples
    assert sum(summary.labels.values()) > 100_000


def test_list_of_all(tmp_path):
    found = {listing.name: listing for listing in list_datasets("file:///nowhere", tmp_path)}
    assert set(found) >= {"digits", "emnist", "shakespeare"}
    assert found["digits"].cached
    assert found["digits"].path is None
    assert not found["emnist"].cached
    assert found["emnist"].path.startswith(str(tmp_path))
    assert found["emnist"].disk_bytes > found["emnist"].download_bytes > 0
    assert all(listing.licence and listing.description and listing.url for listing in found.values())


def test_characters_outside_the_vocabulary_are_said_once(config, caplog):
    with config.load() as dataset:
        sizes = dataset.sizes()
        assert dataset.sizes() == sizes
    said = [record.message for record in caplog.records if "outside the vocabulary" in record.message]
    assert len(said) == 1
    assert "bytes of the training text" in said[0]
