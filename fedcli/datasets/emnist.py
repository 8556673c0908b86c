"""Federated EMNIST: handwritten characters, a client being the person who wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fedcli.datasets import datasets
from fedcli.datasets.base import DatasetConfig, DataSource, DataSpec
from fedcli.datasets.labelled import LabelledDataset
from fedcli.datasets.origin import PUBLISHED_ORIGIN
from fedcli.datasets.sqlite import ClientDatabase, DatabaseSource
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


@datasets.register("emnist")
@dataclass(frozen=True)
class Emnist(DatasetConfig):
    """Handwritten characters by writer, as TFF publishes them.

    Caldas et al. 2018, LEAF, https://arxiv.org/abs/1812.01097.

    Attributes:
        only_digits: True for the digits, 10 classes of 3,383 writers; false for digits and letters, 62
            classes of 3,400 writers.
    """

    about: ClassVar[DataSource] = DataSource(
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

    def fingerprint(self) -> str | None:
        """Hashes the examples of all splits; see the base class."""
        return DATABASE.fingerprint(self.origin, self.cache_dir)

    def load(self) -> LabelledDataset:
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
        return LabelledDataset(self.spec, database, "pixels", train, test, self.clients)
