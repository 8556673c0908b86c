"""Federated examples with a label each, read from a database in TFF's SQLite form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import DataSpec, Examples, FederatedDataset
from fedcli.datasets.sqlite import ClientDatabase
from fedcli.datasets.subset import choose_clients, spread_subset
from fedcli.datasets.tf_example import Feature, parse_examples
from fedcli.errors import DataError

_LABEL: Feature = ("label", (), "int64")
_FIX = "correct the database at its origin, remove that file and fetch it again"
#: Examples parsed at once: a few KB each, so that parsing a whole test split holds little beside its result.
_PARSED_AT_ONCE = 4096


class LabelledDataset(FederatedDataset):
    """Reads from the database client by client; nothing is kept in memory.

    Args:
        spec: What is known of the data set.
        database: The opened database: each example has `feature`, floats, and `label`.
        feature: Name of the feature that is the input.
        train: Name of the training split.
        test: Name of the test split.
        clients: Ids of the only clients to use; None for all, those with test examples only included.
    """

    def __init__(
        self,
        spec: DataSpec,
        database: ClientDatabase,
        feature: str,
        train: str,
        test: str,
        clients: list[str] | None = None,
    ) -> None:
        self.spec = spec
        self._database = database
        self._feature: Feature = (feature, spec.x_shape, spec.x_dtype)
        self._train, self._test = train, test
        self.client_ids = choose_clients(database.client_ids(train), clients)
        self._tested = None if clients is None else self.client_ids

    def client(self, client_id: str) -> Examples:
        """Reads one client's training examples; see the base class.

        Raises:
            DataError: An example is not of the data set's form, or its label is none of the classes.
        """
        return self._parse(self._database.read_client(self._train, client_id), self._train, client_id)

    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the test split, and no example that it does not return; see the base class."""
        rows = self._database.rows(self._test, self._tested)
        return self._parse(self._database.read_rows(rows[spread_subset(len(rows), max_examples)]), self._test)

    def test_client(self, client_id: str) -> Examples:
        """Reads one client's test examples; see the base class."""
        return self._parse(self._database.read_client(self._test, client_id), self._test, client_id)

    def tested_clients(self) -> list[str]:
        """Finds them in the index; see the base class."""
        sizes = self._database.sizes(self._test, self.client_ids)
        return [self.client_ids[place] for place in np.flatnonzero(sizes)]

    def labels(self) -> NDArray[np.int32]:
        """Reads the labels alone; see the base class."""
        serialized = (row for client in self.client_ids for row in self._database.read_client(self._train, client))
        ys = [np.empty(0, np.int32)]
        for some in _pieces(serialized):
            (labels,) = self._read(some, self._train, None, _LABEL)
            ys.append(labels.astype(np.int32))
        return np.concatenate(ys)

    def pick(self, positions: NDArray[np.int64]) -> Examples:
        """Reads the examples at these positions and no other; see the base class."""
        return self._parse(self._database.read_rows(self._training_rows[positions]), self._train)

    def sizes(self) -> dict[str, int]:
        """Counts each client's training examples from the index; see the base class."""
        sizes = self._database.sizes(self._train, self.client_ids)
        return dict(zip(self.client_ids, sizes.tolist(), strict=True))

    def smaller_than(self, num_examples: int) -> list[str]:
        """Counts in the index, and holds an id only of those it returns; see the base class."""
        sizes = self._database.sizes(self._train, self.client_ids)
        return [self.client_ids[place] for place in np.flatnonzero(sizes < num_examples)]

    def size(self, client_id: str) -> int:
        """Counts a client's training examples from the index; see the base class."""
        return self._database.size(self._train, client_id)

    def test_size(self) -> int:
        """Counts the test examples from the index; see the base class."""
        return len(self._database.rows(self._test, self._tested))

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    @cached_property
    def _training_rows(self) -> NDArray[np.int64]:
        """Row numbers of the training examples, by client: 8 bytes an example."""
        return self._database.rows(self._train, self.client_ids)

    def _parse(self, serialized: Iterable[bytes], split: str, client: str | None = None) -> Examples:
        """Parses examples.

        Args:
            serialized: The examples.
            split: Their split, for messages.
            client: Whose they are, for messages; None if they are several clients'.
        """
        xs: list[NDArray[np.generic]] = [np.empty((0, *self.spec.x_shape), np.float32)]
        ys = [np.empty(0, np.int32)]
        for some in _pieces(serialized):
            x, labels = self._read(some, split, client, self._feature, _LABEL)
            xs.append(x.astype(np.float32, copy=False))
            ys.append(labels.astype(np.int32))
        return Examples(np.concatenate(xs), np.concatenate(ys))

    def _read(
        self, serialized: list[bytes], split: str, client: str | None, *features: Feature
    ) -> list[NDArray[np.generic]]:
        """Parses features of examples, the label last, and checks the labels."""
        where = f"{self._database.path}: split {split}{f', client {client}' if client is not None else ''}"
        try:
            parsed = parse_examples(serialized, *features)
        except ValueError as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{where} has an example that is not of the data set's form ({reason})",
                f"it needs {' and '.join(f'{name}, {kind} {list(shape)}' for name, shape, kind in features)}; {_FIX}",
            ) from error
        labels = parsed[-1]
        wrong = labels[(labels < 0) | (labels >= self.spec.num_classes)]
        if len(wrong):
            raise DataError(
                f"{where} has the label {wrong[0]}, but there are {self.spec.num_classes} classes, "
                f"0 to {self.spec.num_classes - 1}",
                _FIX,
            )
        return parsed


def _pieces(serialized: Iterable[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(serialized)
    while some := list(islice(remaining, _PARSED_AT_ONCE)):
        yield some
