"""Federated Shakespeare: lines of plays, a client being a character of a play (a role)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets import datasets
from fedcli.datasets.base import DatasetConfig, DataSource, DataSpec, Examples, FederatedDataset
from fedcli.datasets.sequences import cut_sequences
from fedcli.datasets.sqlite import ClientDatabase, DatabaseSource
from fedcli.datasets.subset import choose_clients, spread_subset
from fedcli.datasets.tf_example import parse_examples
from fedcli.models.vocabulary import VOCABULARY, encode

TRAIN, TEST = "train", "test"

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

    source: ClassVar[DataSource] = DataSource(
        "lines of Shakespeare's plays as character sequences; a client is a role",
        "public domain text (Project Gutenberg), prepared by LEAF",
        "https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/shakespeare/load_data",
        download_bytes=1_329_828,
        disk_bytes=5_226_496,
    )

    name: str = "shakespeare"
    batch_size: int = 8
    sequence_length: int = 100

    def problems(self) -> Iterator[tuple[str, str]]:
        """A sequence has at least one character; see the base class."""
        yield from super().problems()
        if self.sequence_length < 1:
            yield "sequence_length", "must be at least 1"

    @property
    def spec(self) -> DataSpec:
        """Sequences of character ids; a target at every position."""
        shape = (self.sequence_length,)
        return DataSpec("text", shape, "int32", shape, len(VOCABULARY), 715)

    def cached_file(self) -> Path:
        """Returns where the database is kept; see the base class."""
        return DATABASE.cached_path(self.origin, self.cache_dir)

    def load(self) -> ShakespeareDataset:
        """Fetches the database where needed and opens it; see the base class."""
        database = ClientDatabase(DATABASE.fetch(self.origin, self.cache_dir))
        return ShakespeareDataset(self.spec, database, self.sequence_length, self.drop_remainder, self.clients)


class ShakespeareDataset(FederatedDataset):
    """Reads the text of a role from the database and cuts it into sequences.

    Args:
        spec: What `Shakespeare.spec` says.
        database: The opened database.
        sequence_length: Characters of an input.
        drop_remainder: See `cut_sequences`.
        clients: Ids of the only roles to use; None for all.
    """

    def __init__(
        self,
        spec: DataSpec,
        database: ClientDatabase,
        sequence_length: int,
        drop_remainder: bool = False,
        clients: list[str] | None = None,
    ) -> None:
        self.spec = spec
        self._database = database
        self._sequence_length, self._drop_remainder = sequence_length, drop_remainder
        self.client_ids = choose_clients(database.client_ids(TRAIN), clients)

    def client(self, client_id: str) -> Examples:
        """Reads the sequences of a role's training lines; see the base class."""
        return self._cut(_join(_snippets(self._database.read_client(TRAIN, client_id))))

    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the sequences of the test lines, cut role by role as for training; see the base class."""
        empty = np.empty((0, self._sequence_length), np.int32)
        roles = [Examples(empty, empty), *map(self._cut, self._texts(TEST).values())]
        x = np.concatenate([role.x for role in roles])
        y = np.concatenate([role.y for role in roles])
        chosen = spread_subset(len(x), max_examples)
        return Examples(x[chosen], y[chosen])

    def sizes(self) -> dict[str, int]:
        """Counts each role's training sequences; see the base class."""
        texts = self._texts(TRAIN)
        return {client: len(self._cut(texts[client])) for client in self.client_ids}

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def _cut(self, text: NDArray[np.int32]) -> Examples:
        return cut_sequences(text, self._sequence_length, self._drop_remainder)

    def _texts(self, split: str) -> dict[str, NDArray[np.int32]]:
        """Reads the text of every role. The whole split is 5 MB: one read is far faster than one a role."""
        rows = self._database.read_split(split)
        wanted = set(self.client_ids)
        snippets = zip((client for client, _ in rows), _snippets([row for _, row in rows]), strict=True)
        return {
            client: _join([snippet for _, snippet in group])
            for client, group in groupby(snippets, key=itemgetter(0))
            if client in wanted
        }


def _snippets(serialized: Sequence[bytes]) -> list[bytes]:
    """Parses `tf.train.Example`s with `snippets`, a string that may be empty."""
    (snippets,) = parse_examples(serialized, ("snippets", (), "string"))
    return list(snippets)


def _join(snippets: Sequence[bytes]) -> NDArray[np.int32]:
    # The study joins them with nothing in between.
    return encode(b"".join(snippets))
