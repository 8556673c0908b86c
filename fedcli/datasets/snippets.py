"""Federated texts, snippets of a client each, read from a database in TFF's SQLite form."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import DataSpec, Examples, FederatedDataset
from fedcli.datasets.sequences import cut_sequences
from fedcli.datasets.sqlite import TEST, TRAIN, ClientDatabase
from fedcli.datasets.subset import choose_clients, spread_subset
from fedcli.datasets.tf_example import parse_examples
from fedcli.text.vocabulary import encode, unknown_bytes, unknown_note

_log = logging.getLogger(__name__)


class SnippetDataset(FederatedDataset):
    """Reads the text of a client from the database and cuts it into sequences.

    Args:
        spec: What is known of the data set.
        database: The opened database.
        sequence_length: Characters of an input.
        drop_remainder: See `cut_sequences`.
        clients: Ids of the only clients to use; None for all, those with test text only included.
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
        self._tested = None if clients is None else self.client_ids
        self._warned = False

    def client(self, client_id: str) -> Examples:
        """Reads the sequences of a client's training text; see the base class."""
        return self._cut(encode(self._training_text(client_id)))

    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the sequences of the test text, cut client by client as for training; see the base class."""
        empty = np.empty((0, self._sequence_length), np.int32)
        texts = self._texts(TEST, self._tested).values()
        parts = [Examples(empty, empty), *(self._cut(encode(text)) for text in texts)]
        x = np.concatenate([part.x for part in parts])
        y = np.concatenate([part.y for part in parts])
        chosen = spread_subset(len(x), max_examples)
        return Examples(x[chosen], y[chosen])

    def test_client(self, client_id: str) -> Examples:
        """Reads the sequences of a client's test text; see the base class."""
        return self._cut(encode(b"".join(_snippets(self._database.read_client(TEST, client_id)))))

    def sizes(self) -> dict[str, int]:
        """Counts each client's training sequences; see the base class."""
        texts, unknown = self._texts(TRAIN, self.client_ids), UnknownBytes()
        for text in texts.values():
            unknown.add(text)
        self._warn_of(unknown)
        return {client: len(self._cut(encode(texts[client]))) for client in self.client_ids}

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def _cut(self, text: NDArray[np.int32]) -> Examples:
        return cut_sequences(text, self._sequence_length, self._drop_remainder)

    def _training_text(self, client_id: str) -> bytes:
        # The study joins snippets with nothing in between.
        return b"".join(_snippets(self._database.read_client(TRAIN, client_id)))

    def _texts(self, split: str, clients: Sequence[str] | None) -> dict[str, bytes]:
        """Reads the text of these clients, None for all: one read is far faster than one a client."""
        rows = self._database.read_split(split)
        wanted = None if clients is None else set(clients)
        snippets = zip((client for client, _ in rows), _snippets([row for _, row in rows]), strict=True)
        return {
            client: b"".join(snippet for _, snippet in group)
            for client, group in groupby(snippets, key=itemgetter(0))
            if wanted is None or client in wanted
        }

    def _warn_of(self, unknown: UnknownBytes) -> None:
        """Says once how much of the training text is outside the vocabulary."""
        if unknown.count and not self._warned:
            self._warned = True
            _log.warning("%s", unknown)


class UnknownBytes:
    """Counts the bytes of texts that are outside the vocabulary.

    Attributes:
        count: How many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._total = 0
        self._characters: Counter[str] = Counter()

    def add(self, text: bytes) -> None:
        """Counts those of a text."""
        unknown = unknown_bytes(text)
        self.count += len(unknown)
        self._total += len(text)
        self._characters.update(unknown.decode(errors="backslashreplace"))

    def __str__(self) -> str:
        counts = dict(self._characters.most_common())
        return unknown_note(counts, self.count, self._total, "bytes of the training text")


def _snippets(serialized: Sequence[bytes]) -> list[bytes]:
    """Parses `tf.train.Example`s with `snippets`, a string that may be empty."""
    (snippets,) = parse_examples(serialized, ("snippets", (), "string"))
    return list(snippets)
