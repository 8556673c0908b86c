"""Reads the content of Keras's two forms of files, HDF5 and zip archives.

Whoever calls this limits its time: a damaged HDF5 file can keep the HDF5 library busy forever.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError, DataError
from fedcli.models.keras_layers import Layer, has_weights, read_description, weights_in_keras_2

if TYPE_CHECKING:
    import h5py

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"
#: Weights hardly compress: what unpacks to far more than the file is an attack.
_MAX_INFLATION = 4
#: A layer has no more weights: a GRU of Keras 1.
_MOST_WEIGHTS = 9


def read_hdf5(path: Path, file: BinaryIO) -> list[Layer]:
    """Reads an HDF5 file.

    Args:
        path: The file, for messages.
        file: The same, opened.

    Raises:
        ConfigError: It holds something else than a sequence of known layers.
        DataError: It describes other layers than it has weights of, or weights that are not finite.
        Exception: Many kinds, for a damaged file.
    """
    import h5py

    with h5py.File(file, "r") as hdf5:
        if hdf5.attrs.get("model_config") is None:
            raise ConfigError(
                f"{path} holds weights or data, but no Keras model",
                "save the whole model: model.save(...), not model.save_weights(...)",
            )
        descriptions = read_description(path, json.loads(_text(hdf5.attrs["model_config"])))
        stored = list(_stored_weights(_member(hdf5, "model_weights")))
        described = sum(has_weights(kind) for kind, _ in descriptions)
        if described != len(stored):
            raise DataError(
                f"{path} describes {described} layers with weights, but holds the weights of {len(stored)}",
                "save the whole model again with the Keras that wrote it",
            )
        reader = _WeightReader(path, path.stat().st_size)
        # By their order, as Keras does: a layer may have been renamed since it got its weights.
        following = iter(stored)
        layers = []
        for kind, config in descriptions:
            weights = reader.read(next(following)) if has_weights(kind) else ()
            layers.append(Layer(kind, config, weights_in_keras_2(kind, weights)))
        return layers


def _stored_weights(groups: h5py.Group) -> Iterator[list[Any]]:
    """Yields the data sets of each layer that has some, in the order of the layers."""
    for layer in _names(groups, "layer_names"):
        group = _member(groups, layer)
        names = _names(group, "weight_names")
        if len(names) > _MOST_WEIGHTS:
            raise ValueError(f"{layer} names {len(names):,} weights")
        if names:
            yield [_member(group, name) for name in names]


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Reads an attribute that lists names; Keras cuts a long one into several, numbered from 0."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    if f"{attribute}0" not in group.attrs:
        raise ValueError(f"no {attribute}")
    names: list[str] = []
    part = 0
    while f"{attribute}{part}" in group.attrs:
        names += (_text(name) for name in group.attrs[f"{attribute}{part}"])
        part += 1
    return names


def read_archive(path: Path, file: BinaryIO) -> list[Layer]:
    """Reads a `.keras` archive; see `read_hdf5`."""
    import h5py

    limit = _MAX_INFLATION * path.stat().st_size
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "config.json" not in names or "model.weights.h5" not in names:
            raise ConfigError(f"{path} is an archive, but no Keras model", "give a model saved by Keras (.keras)")
        for name in ("config.json", "model.weights.h5"):
            if archive.getinfo(name).file_size > limit:
                raise ValueError(f"{name} unpacks to {archive.getinfo(name).file_size} bytes")
        descriptions = read_description(path, json.loads(archive.read("config.json")))
        data = archive.read("model.weights.h5")
    reader = _WeightReader(path, len(data))
    with h5py.File(io.BytesIO(data), "r") as hdf5:
        # Keras 2 and Keras 3 give the folder different names.
        folders = next(hdf5[name] for name in ("_layer_checkpoint_dependencies", "layers") if name in hdf5)
        seen: Counter[str] = Counter()
        layers = []
        for kind, config in descriptions:
            # A layer's folder is called after its class, the second of a class ..._1, or after the layer itself.
            count = seen[kind]
            seen[kind] += 1
            candidates = (f"{kind.lower()}{f'_{count}' if count else ''}", config["name"])
            arrays: tuple[NDArray[np.float32], ...] = ()
            if has_weights(kind):
                found = next((name for name in candidates if name in folders), None)
                if found is None:
                    raise DataError(
                        f"{path} describes a layer {config['name']}, but holds no weights by that name",
                        "save the model again, as .h5",
                    )
                folder = _member(folders, found)
                variables = _member(_member(folder, "cell") if kind == "GRU" else folder, "vars")
                arrays = reader.read([_member(variables, name) for name in sorted(variables, key=int)])
            layers.append(Layer(kind, config, arrays))
        return layers


class _WeightReader:
    """Reads weights, altogether not many more than the file has bytes: it may name one data set a thousand times.

    Args:
        path: The file, for messages.
        size: Bytes of the HDF5 file.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._left = _MAX_INFLATION * size

    def read(self, datasets: Sequence[h5py.Dataset]) -> tuple[NDArray[np.float32], ...]:
        """Reads the weights of a layer."""
        return tuple(self._array(dataset) for dataset in datasets)

    def _array(self, dataset: h5py.Dataset) -> NDArray[np.float32]:
        stored = dataset.id.get_storage_size()
        if dataset.external or dataset.is_virtual or (dataset.compression is None and stored < dataset.nbytes):
            raise ValueError(f"{dataset.name} does not hold its {dataset.nbytes} bytes")
        if dataset.dtype.kind != "f":
            raise ValueError(f"{dataset.name} is of type {dataset.dtype}")
        self._left -= dataset.size * max(4, dataset.dtype.itemsize)
        if self._left < 0:
            raise ValueError("the weights that it names have more bytes than the file")
        array = np.asarray(dataset[()], np.float32)
        if not np.isfinite(array).all():
            raise DataError(
                f"{self._path}: the weights {dataset.name} have numbers that are not finite",
                "give another model: the training of this one diverged, or its file is damaged",
            )
        return array


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)  # bytes until h5py 3


def _member(group: h5py.Group, name: str) -> Any:
    """Returns a member of an HDF5 group; a link to another file is not followed."""
    import h5py

    for part in name.strip("/").split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"no {name}")
        group = group[part]
    return group
