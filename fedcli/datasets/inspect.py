"""What is known of the data sets, as data: for `fedcli data list`, `fetch` and `inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import PADDING, DatasetConfig, FederatedDataset
from fedcli.datasets.cache import is_cached
from fedcli.datasets.subset import spread_subset


@dataclass(frozen=True)
class Listing:
    """A data set as `fedcli data list` shows it.

    Attributes:
        name: Name in the registry.
        kind: `image`, `table` or `text`.
        clients: Number of training clients of the published data set.
        classes: Number of classes, or of characters.
        description: What the examples and the clients are.
        licence: Under which terms it may be used.
        url: Page that documents it.
        download_bytes: Size of the published download, 0 if nothing has to be fetched.
        disk_bytes: Size in the cache: of the file that is there, else of the published one.
        cached: Whether it can be loaded without a network.
        path: Where the cache keeps it, there or not; None if nothing has to be fetched.
    """

    name: str
    kind: str
    clients: int
    classes: int
    description: str
    licence: str
    url: str
    download_bytes: int
    disk_bytes: int
    cached: bool
    path: str | None


@dataclass(frozen=True)
class Summary:
    """What a loaded data set holds.

    Attributes:
        name: Name in the registry.
        clients: Number of training clients.
        clients_without_batches: How many of them have no batch to train on.
        examples: Number of training examples.
        examples_min: Fewest training examples of a client.
        examples_median: Median over the clients.
        examples_max: Most training examples of a client.
        test_examples: Number of test examples.
        labels: Number of training examples of each label (for text: of targets of each character index), by
            label, of `labels_clients` clients.
        labels_clients: Number of clients whose labels were counted, spread over all.
        client_labels: Number of training examples of each of those clients, by label.
    """

    name: str
    clients: int
    clients_without_batches: int
    examples: int
    examples_min: int
    examples_median: float
    examples_max: int
    test_examples: int
    labels: dict[int, int]
    labels_clients: int
    client_labels: dict[str, dict[int, int]]


def list_dataset(config: DatasetConfig) -> Listing:
    """Describes one data set without loading it. Needs neither network nor TensorFlow.

    Args:
        config: Its `origin` and `cache_dir` decide where the cache is looked at.
    """
    spec, source, path = config.spec, config.about, config.cached_file()
    cached = path is None or is_cached(path)
    published_bytes = source.disk_bytes if source else 0
    return Listing(
        name=config.title,
        kind=spec.kind,
        clients=spec.num_clients,
        classes=spec.num_classes,
        description=source.description if source else "",
        licence=source.licence if source else "",
        url=source.url if source else "",
        download_bytes=source.download_bytes if source else 0,
        disk_bytes=path.stat().st_size if path and cached else published_bytes,
        cached=cached,
        path=None if path is None else str(path),
    )


def list_datasets(origin: str | None = None, cache_dir: str | Path | None = None) -> list[Listing]:
    """Describes every registered data set, by name, and what was imported; see `list_dataset`."""
    from fedcli.datasets import datasets

    folder = None if cache_dir is None else str(cache_dir)
    return [
        list_dataset(config)
        for name, component in datasets.components.items()
        for config in component.available(name, origin, folder)
    ]


def summarize(config: DatasetConfig, dataset: FederatedDataset, max_label_clients: int | None = 100) -> Summary:
    """Counts what a loaded data set holds.

    Args:
        config: What the data set was loaded from.
        dataset: What `config.load()` returned.
        max_label_clients: Labels are counted for so many clients, spread over all; None for every client.
    """
    sizes = dataset.sizes()
    counted = spread_subset(len(dataset.client_ids), max_label_clients)
    by_client: dict[str, NDArray[np.int64]] = {}
    for position in counted:
        client = dataset.client_ids[position]
        y = dataset.client(client).y
        by_client[client] = np.bincount(y[y != PADDING], minlength=dataset.spec.num_classes)
    labels = np.sum([*by_client.values()], axis=0)
    values = list(sizes.values())
    return Summary(
        name=config.title,
        clients=len(sizes),
        clients_without_batches=len(config.clients_without_batches(dataset)),
        examples=sum(values),
        examples_min=min(values),
        examples_median=float(median(values)),
        examples_max=max(values),
        test_examples=dataset.test_size(),
        labels=_by_label(labels),
        labels_clients=len(counted),
        client_labels={client: _by_label(counts) for client, counts in by_client.items()},
    )


def _by_label(counts: NDArray[np.int64]) -> dict[int, int]:
    return {label: int(count) for label, count in enumerate(counts)}
