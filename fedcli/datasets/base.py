"""What a data set is to the rest of fedcli: examples of one client, and examples to test on."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError
from fedcli.ranges import Count, Range
from fedcli.registry import Component

#: Marks a position of a text target that is padding: no character, so it counts in no loss and no accuracy.
PADDING = -1


@dataclass(frozen=True)
class Examples:
    """Examples of one client, or of a test split.

    Attributes:
        x: Inputs, [n, ...]: float32 images [n, height, width, channels] with values in [0, 1], float32 rows of
            a table [n, columns], or int32 character ids [n, sequence_length].
        y: Targets: int32 class labels [n], or int32 character ids [n, sequence_length] with `PADDING` where
            there is no character.
    """

    x: NDArray[np.generic]
    y: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class DataSpec:
    """What is known of a data set before it is loaded.

    Attributes:
        kind: `image`, `table` (numbers, one input a row) or `text`: decides which models fit.
        x_shape: Shape of one input, without the batch dimension.
        x_dtype: `float32` or `int32`.
        y_shape: Shape of one target: () for a label.
        num_classes: Number of classes, or of characters in the vocabulary.
        num_clients: Number of training clients that the published data set has.
    """

    kind: str
    x_shape: tuple[int, ...]
    x_dtype: str
    y_shape: tuple[int, ...]
    num_classes: int
    num_clients: int


@dataclass(frozen=True)
class DataSource:
    """Where a data set comes from, for people.

    Attributes:
        description: What the examples and the clients are, in one line.
        licence: Under which terms it may be used.
        url: Page that documents it.
        download_bytes: Size of the published download, 0 if it comes with an installed package.
        disk_bytes: Size in the cache, likewise.
    """

    description: str
    licence: str
    url: str
    download_bytes: int = 0
    disk_bytes: int = 0


class FederatedDataset(ABC):
    """A loaded data set. Safe to read from several threads at once."""

    spec: DataSpec
    #: Ids of the training clients, sorted; with `DatasetConfig.clients`, of those only.
    client_ids: Sequence[str]

    @abstractmethod
    def client(self, client_id: str) -> Examples:
        """Reads one training client's examples, in the order in which they are stored."""

    @abstractmethod
    def test(self, max_examples: int | None = None) -> Examples:
        """Reads the test split of all clients, at most `max_examples` of it.

        With `DatasetConfig.clients`, of those clients only.

        A limited read takes a seeded, fixed subset, spread over the clients, so that it is the same in every
        run and does not over-represent the clients that come first.
        """

    def test_client(self, client_id: str) -> Examples:
        """Reads one training client's own test examples, all of them, in the order in which they are stored.

        Raises:
            ConfigError: The test examples are nobody's, as with synthetic clients.
        """
        raise ConfigError(
            "the test examples of this data set are not those of single clients",
            "set client_eval.every=null, or choose a data set whose clients have test examples, and partition=natural",
        )

    def tested_clients(self) -> list[str]:
        """Returns the training clients that have test examples of their own, sorted.

        Raises:
            ConfigError: See `test_client`.
        """
        return [client for client in self.client_ids if len(self.test_client(client))]

    def labels(self) -> NDArray[np.int32]:
        """Reads the targets of all training examples, one client after the other in the order of `client_ids`.

        Returns:
            [n, ...], n being the sum of `sizes`. Data sets that can do it without reading the inputs do so.
        """
        empty = np.empty((0, *self.spec.y_shape), np.int32)
        return np.concatenate([empty, *(self.client(client).y for client in self.client_ids)])

    def pick(self, positions: NDArray[np.int64]) -> Examples:
        """Reads training examples by their positions in the order of `labels`.

        Here by reading every client that has one of them; data sets that can read single examples do so.

        Args:
            positions: Positions, [n], ascending.
        """
        starts = self._starts
        owners = np.searchsorted(starts, positions, side="right") - 1
        xs = [np.empty((0, *self.spec.x_shape), self.spec.x_dtype)]
        ys = [np.empty((0, *self.spec.y_shape), np.int32)]
        for owner in np.unique(owners):
            examples = self.client(self.client_ids[owner])
            rows = positions[owners == owner] - starts[owner]
            xs.append(examples.x[rows])
            ys.append(examples.y[rows])
        return Examples(np.concatenate(xs), np.concatenate(ys))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Position of each client's first example."""
        sizes = self.sizes()
        return np.cumsum([0, *(sizes[client] for client in self.client_ids)])[:-1]

    def sizes(self) -> dict[str, int]:
        """Counts each training client's examples; data sets that can do it without reading them all do so."""
        return {client: len(self.client(client)) for client in self.client_ids}

    def smaller_than(self, num_examples: int) -> list[str]:
        """Returns the training clients with fewer examples; likewise."""
        return [client for client, size in self.sizes().items() if size < num_examples]

    def size(self, client_id: str) -> int:
        """Counts one training client's examples; likewise."""
        return len(self.client(client_id))

    def test_size(self) -> int:
        """Counts the examples of the test split; likewise."""
        return len(self.test())

    def close(self) -> None:  # noqa: B027 (most data sets hold nothing open)
        """Releases files that the data set holds open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True)
class DatasetConfig(Component, ABC):
    """Keys that every data set has.

    Attributes:
        batch_size: Examples a batch in local training.
        client_epochs: Passes over a client's examples in one round.
        max_batches_per_client: At most so many batches a client and training round; null for no limit. Personalization
            and reconstruction for an evaluation use all examples.
        drop_remainder: Whether a client's last batch is dropped where it is not full (for text also the last
            sequence). The studies do so, which leaves small clients without any data; false keeps everything.
        clients: Ids of the only clients to train and test on; null for all.
        origin: Scheme and host that data is fetched from, null for the published location
            (or the environment variable FEDCLI_ORIGIN).
        cache_dir: Folder that downloads are kept in, null for $FEDCLI_CACHE or ~/.cache/fedcli.
    """

    #: What `fedcli data list` tells of the data set, by the name `title`.
    about: ClassVar[DataSource | None] = None

    batch_size: Count = 20
    client_epochs: Annotated[int, Range(1, 10**6)] = 1
    max_batches_per_client: Count | None = None
    drop_remainder: bool = False
    clients: list[str] | None = None
    origin: str | None = None
    cache_dir: str | None = None

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What is known before loading. Needs neither network nor TensorFlow."""

    @abstractmethod
    def load(self) -> FederatedDataset:
        """Loads the data set, fetching it first where it is not in the cache.

        Raises:
            DataError: It cannot be fetched, or what was fetched is not the data set.
        """

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name

    def class_names(self) -> list[str]:
        """Names the classes: the characters of a text, otherwise the numbers of the labels."""
        if self.spec.kind == "text":
            from fedcli.text.vocabulary import VOCABULARY

            return list(VOCABULARY)
        return [str(label) for label in range(self.spec.num_classes)]

    @classmethod
    def available(cls, name: str, origin: str | None = None, cache_dir: str | None = None) -> list[DatasetConfig]:
        """Returns the data sets that `fedcli data list` shows: one, unless a component stands for several."""
        return [cls(name=name, origin=origin, cache_dir=cache_dir)]

    def cached_file(self) -> Path | None:
        """Returns where the cache keeps the data set, there or not; None if nothing has to be fetched."""
        return None

    def fingerprint(self) -> str | None:
        """Returns a hash of all examples of the data set, whatever origin they come from.

        Partition and choice of clients do not count: the config tells them.

        Returns:
            SHA-256, hexadecimal; None if it is not known, since the data are not in the cache yet, or the data set
            (one of a third party) does not tell.
        """
        return None

    def clients_without_batches(self, dataset: FederatedDataset, needed: int = 1) -> list[str]:
        """Returns the training clients that have no batch, or not those needed, and so take no part in training.

        These are clients without examples and, with `drop_remainder`, those that have fewer than `batch_size` in all of
        their `client_epochs` together, across which batches run on.

        Args:
            dataset: What `load` returned.
            needed: How many batches a client needs.
        """
        passed_over = needed * self.batch_size if self.drop_remainder else (needed - 1) * self.batch_size + 1
        return dataset.smaller_than(-(-passed_over // self.client_epochs))

    def replace(self, **changes: object) -> DatasetConfig:
        """Returns a copy with some keys changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
