"""A data set of the user's own, which `fedcli data import` has put into the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fedcli.datasets import cache, datasets
from fedcli.datasets.base import DatasetConfig, DataSource, DataSpec, FederatedDataset
from fedcli.datasets.importing.features import INPUT_FEATURES
from fedcli.datasets.importing.store import About, check_intact, imported_file, imported_names, read_about
from fedcli.datasets.labelled import LabelledDataset
from fedcli.datasets.snippets import SnippetDataset, UnknownBytes
from fedcli.datasets.sqlite import TEST, TRAIN, ClientDatabase, content_hash
from fedcli.errors import ConfigError
from fedcli.ranges import Range
from fedcli.text.vocabulary import VOCABULARY, encode


@datasets.register("imported")
@dataclass(frozen=True)
class Imported(DatasetConfig):
    """Images, rows of a table, or texts by client.

    Attributes:
        source: Name that it was imported by.
        sequence_length: Characters of an input, for texts.
    """

    name: str = "imported"
    source: str | None = None
    sequence_length: Annotated[int, Range(1, 10**6)] = 100

    def problems(self) -> Iterator[tuple[str, str]]:
        """It has a name, and a sequence at least one character; see the base class."""
        yield from super().problems()
        if not self.source:
            names = imported_names(self.cache_dir)
            there = f"one of {', '.join(names[:20])}" if names else "fedcli data import makes it"
            yield "source", f"must be the name of an imported data set: {there}"

    @classmethod
    def available(cls, name: str, origin: str | None = None, cache_dir: str | None = None) -> list[DatasetConfig]:
        """Returns what was imported into the cache; see the base class."""
        return [cls(name=name, origin=origin, cache_dir=cache_dir, source=it) for it in imported_names(cache_dir)]

    @property
    def title(self) -> str:
        """The name that it was imported by."""
        return self.source or self.name

    @property
    def about(self) -> DataSource:  # type: ignore[override]
        """What the import says of it."""
        return DataSource(self._imported().description, "", "")

    @property
    def spec(self) -> DataSpec:
        """What the import says of it; see the base class."""
        about = self._imported()
        if about.kind == "text":
            shape = (self.sequence_length,)
            return DataSpec("text", shape, "int32", shape, len(VOCABULARY), about.train_clients)
        return DataSpec(about.kind, tuple(about.x_shape), "float32", (), len(about.classes), about.train_clients)

    def class_names(self) -> list[str]:
        """Names the classes as the source does; see the base class."""
        about = self._imported()
        return super().class_names() if about.kind == "text" else list(about.classes)

    def cached_file(self) -> Path:
        """Returns where the import has put it; see the base class."""
        return imported_file(self._imported().name, self.cache_dir)

    def fingerprint(self) -> str | None:
        """Hashes the examples and the names of classes and columns; see the base class."""
        about = self._imported()
        meaning = json.dumps([about.kind, list(about.x_shape), list(about.columns), list(about.classes)])
        return cache.content_hash(self.cached_file(), lambda file: content_hash(file, meaning))

    def load(self) -> FederatedDataset:
        """Opens the database; see the base class."""
        about = self._imported()
        file = self.cached_file()
        check_intact(about.name, file)
        database = ClientDatabase(file)
        if about.kind == "text":
            return ImportedTexts(self.spec, database, self.sequence_length, self.drop_remainder, self.clients)
        return LabelledDataset(self.spec, database, INPUT_FEATURES[about.kind], TRAIN, TEST, self.clients)

    def _imported(self) -> About:
        for field, requirement in self.problems():
            if field == "source":
                raise ConfigError(f"dataset.source: {requirement}", "set it with dataset.source=NAME")
        assert self.source
        return read_about(self.source, self.cache_dir)


class ImportedTexts(SnippetDataset):
    """Texts that may be many: to count sequences, they are read client by client."""

    def sizes(self) -> dict[str, int]:
        """Counts each client's training sequences; see the base class."""
        sizes, unknown = {}, UnknownBytes()
        for client in self.client_ids:
            text = self._training_text(client)
            unknown.add(text)
            sizes[client] = len(self._cut(encode(text)))
        self._warn_of(unknown)
        return sizes
