"""How a data set travels to workers: as what it is in memory, and its files by name, size and hash.

A worker opens the file at the same place on its own node, below the node's cache folder if it is in this machine's,
and refuses one that is another.
"""

from __future__ import annotations

import io
import pickle
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedcli.datasets.base import FederatedDataset
from fedcli.datasets.cache import fingerprint
from fedcli.datasets.origin import resolve_cache_dir
from fedcli.datasets.sqlite import ClientDatabase
from fedcli.errors import ConfigError, DataError


@dataclass(frozen=True)
class DataFile:
    """A file that every node must have.

    Attributes:
        path: Where, relative to the cache folder if it is in that.
        size: Bytes.
        sha256: Hash of the content, hexadecimal.
    """

    path: Path
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> DataFile:
        """Describes a file of this machine."""
        path = path.absolute()
        cache = resolve_cache_dir()
        size, sha256 = fingerprint(path)
        return cls(path.relative_to(cache) if path.is_relative_to(cache) else path, size, sha256)

    def find(self) -> Path:
        """Returns where the file is on this node.

        Raises:
            DataError: It is not there, or another file is.
        """
        path = resolve_cache_dir() / self.path
        here = f"node {platform.node()}: {path}"
        hint = "fetch or copy the data set's file to every node, or set runtime.data=ship"
        try:
            size, sha256 = fingerprint(path)
        except OSError as error:
            raise DataError(f"{here}: {error.strerror or error}", hint) from error
        if size != self.size:
            raise DataError(f"{here} has {size:,} bytes, the file of the machine that runs fedcli {self.size:,}", hint)
        if sha256 != self.sha256:
            raise DataError(
                f"{here} differs from the file of the machine that runs fedcli "
                f"(sha256 {sha256[:12]}..., there {self.sha256[:12]}...)",
                hint,
            )
        return path


def packed(dataset: FederatedDataset) -> bytes:
    """Pickles a data set, its databases as `DataFile`s.

    Raises:
        ConfigError: It holds what cannot be sent.
    """
    stream = io.BytesIO()
    try:
        _Packer(stream).dump(dataset)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"runtime.data=path: {type(dataset).__name__} cannot be sent to workers: {error}", "set runtime.data=ship"
        ) from error
    return stream.getvalue()


def unpacked(data: bytes) -> FederatedDataset:
    """Opens a packed data set on this node.

    Raises:
        DataError: This node does not have its file.
    """
    dataset: FederatedDataset = _Unpacker(io.BytesIO(data)).load()
    return dataset


class _Packer(pickle.Pickler):
    def persistent_id(self, obj: Any) -> DataFile | None:
        return DataFile.of(obj.path) if isinstance(obj, ClientDatabase) else None


class _Unpacker(pickle.Unpickler):
    def persistent_load(self, pid: DataFile) -> ClientDatabase:
        return ClientDatabase(pid.find())
