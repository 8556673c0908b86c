"""Federated Shakespeare: lines of plays, a client being a character of a play (a role)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from fedcli.datasets import datasets
from fedcli.datasets.base import DatasetConfig, DataSource, DataSpec
from fedcli.datasets.snippets import SnippetDataset
from fedcli.datasets.sqlite import TEST, TRAIN, ClientDatabase, DatabaseSource
from fedcli.ranges import Count, Range
from fedcli.text.vocabulary import VOCABULARY

DATABASE = DatabaseSource(
    name="shakespeare",
    path="tff-datasets-public/shakespeare.sqlite.lzma",
    splits=(TRAIN, TEST),
    documented_clients={TRAIN: 715, TEST: 715},
)


@datasets.register("shakespeare")
@dataclass(frozen=True)
class Shakespeare(DatasetConfig):
    """The lines of 715 roles (McMahan et al. 2017, https://arxiv.org/abs/1602.05629), as TFF publishes them.

    All snippets of a role are joined in their order and cut into chunks of `sequence_length + 1` characters,
    which do not overlap: the input is a chunk's first `sequence_length` characters, the target its last ones.
    The last chunk is padded, so that roles with few lines count. With `drop_remainder` it is dropped, and so
    is a last batch that is not full, as in the TFF study: then a role with fewer than 808 characters (8
    sequences of 101) has no batch. In the published data some snippets are empty, and the play in a role's id
    is often wrong.

    Attributes:
        sequence_length: Characters of an input.
    """

    about: ClassVar[DataSource] = DataSource(
        "lines of Shakespeare's plays as character sequences; a client is a role",
        "public domain text (Project Gutenberg), prepared by LEAF",
        "https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/shakespeare/load_data",
        download_bytes=1_329_828,
        disk_bytes=5_226_496,
    )

    name: str = "shakespeare"
    batch_size: Count = 8
    sequence_length: Annotated[int, Range(1, 10**6)] = 100

    @property
    def spec(self) -> DataSpec:
        """Sequences of character ids; a target at every position."""
        shape = (self.sequence_length,)
        return DataSpec("text", shape, "int32", shape, len(VOCABULARY), 715)

    def cached_file(self) -> Path:
        """Returns where the database is kept; see the base class."""
        return DATABASE.cached_path(self.origin, self.cache_dir)

    def fingerprint(self) -> str | None:
        """Hashes the examples of all splits; see the base class."""
        return DATABASE.fingerprint(self.origin, self.cache_dir)

    def load(self) -> SnippetDataset:
        """Fetches the database where needed and opens it; see the base class."""
        database = ClientDatabase(DATABASE.fetch(self.origin, self.cache_dir))
        return SnippetDataset(self.spec, database, self.sequence_length, self.drop_remainder, self.clients)
