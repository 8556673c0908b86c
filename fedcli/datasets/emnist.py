"""Federated EMNIST: handwritten characters, a client being the person who wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from fedcli.datasets import datasets
from fedcli.datasets.base import DatasetConfig, DataSource, DataSpec, Examples, FederatedDataset
from fedcli.datasets.origin import PUBLISHED_ORIGIN
from fedcli.datasets.sqlite import ClientDatabase, DatabaseSource
from fedcli.datasets.subset import choose_clients, spread_subset
from fedcli.datasets.tf_example import parse_examples
from fedcli.errors import DataError

DATABASE = DatabaseSource(
    name="emnist",
    path="tff-datasets-public/emnist_all.sqlite.lzma",
    splits=("digits_only_train", "digits_only_test"),
    documented_clients={
        "digits_only_train": 3383,
        "digits_only_test": 3383,
        "all_train": 3400,
        "all_test": 3400,
    },
)

_SIDE = 28
_PIXELS = ("pixels", (_SIDE, _SIDE), "float32")
_LABEL = ("label", (), "int64")
#: Examples parsed at once: 3 KB each, so that parsing a whole test split holds little beside its result.
_PARSED_AT_ONCE = 4096


@datasets.register("emnist")
@dataclass(frozen=True)
class Emnist(DatasetConfig):
    """Handwritten characters by writer, as TFF publishes them.

    Caldas et al. 2018, LEAF, https://arxiv.org/abs/1812.01097.

    Attributes:
        only_digits: True for the digits, 10 classes of 3,383 writers; false for digits and letters, 62
            classes of 3,400 writers.
    """

    source: ClassVar[DataSource] = DataSource(
        "handwritten digits, or digits and letters, 28x28; a client is a writer",
        "public domain (NIST Special Database 19)",
        "https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/emnist/load_data",
        download_bytes=170_507_172,
        disk_bytes=4_708_990_976,
    )

    name: str = "emnist"
    only_digits: bool = True

    @property
    def spec(self) -> DataSpec:
        """28x28 images in 10 or 62 classes."""
        classes, writers = (10, 3383) if self.only_digits else (62, 3400)
        return DataSpec("image", (_SIDE, _SIDE, 1), "float32", (), classes, writers)

    def cached_file(self) -> Path:
        """Returns where the database is kept; see the base class."""
        return DATABASE.cached_path(self.origin, self.cache_dir)

    def load(self) -> EmnistDataset:
        """Fetches the database where needed and opens it; see the base class.

        Raises:
            DataError: Also where letters are asked for and this copy has digits only.
        """
        database = ClientDatabase(DATABASE.fetch(self.origin, self.cache_dir))
        prefix = "digits_only" if self.only_digits else "all"
        train, test = f"{prefix}_train", f"{prefix}_test"
        if missing := {train, test} - database.splits().keys():
            raise DataError(
                f"{database.path} has no letters, only digits (no split {' or '.join(sorted(missing))})",
                f"set dataset.only_digits=true, or dataset.origin={PUBLISHED_ORIGIN} for the published file",
            )
        return EmnistDataset(self.spec, database, train, test, self.clients)


class EmnistDataset(FederatedDataset):
    """Reads from the database client by client; nothing is kept in memory.

    Args:
        spec: What `Emnist.spec` says.
        database: The opened database.
        train: Name of the training split.
        test: Name of the test split.
        clients: Ids of the only writers to use; None for all.
    """

    def __init__(
        self,
        spec: DataSpec,
        database: ClientDatabase,
        train: str,
        test: str,
        clients: list[str] | None = None,
    ) -> None:
        self.spec = spec
        self._database = database
        self._train, self._test = train, test
        self.client_ids = choose_clients(database.client_ids(train), clients)

    def client(self, client_id: str) -> Examples:
        """Reads one writer's training examples; see the base class."""
        return _parse(self._database.read_client(self._train, client_id))

    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the test split, and no example that it does not return; see the base class."""
        rows = self._database.rows(self._test, self.client_ids)
        return _parse(self._database.read_rows(rows[spread_subset(len(rows), max_examples)]))

    def sizes(self) -> dict[str, int]:
        """Counts each writer's training examples from the index; see the base class."""
        sizes = self._database.sizes(self._train)
        return {client: sizes.get(client, 0) for client in self.client_ids}

    def test_size(self) -> int:
        """Counts the test examples from the index; see the base class."""
        return len(self._database.rows(self._test, self.client_ids))

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


def _parse(serialized: Iterable[bytes]) -> Examples:
    """Parses `tf.train.Example`s with `pixels`, 28x28 floats, and `label`."""
    xs = [np.empty((0, _SIDE, _SIDE, 1), np.float32)]
    ys = [np.empty(0, np.int32)]
    remaining = iter(serialized)
    while some := list(islice(remaining, _PARSED_AT_ONCE)):
        pixels, labels = parse_examples(some, _PIXELS, _LABEL)
        xs.append(pixels[..., None])
        ys.append(labels.astype(np.int32))
    return Examples(np.concatenate(xs), np.concatenate(ys))
