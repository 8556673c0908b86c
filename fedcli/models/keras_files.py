"""Reads the layers and weights of a Keras file without Keras, so that nothing a file carries is ever executed.

Keras's own loader makes whatever objects the file names. Here the description of the layers is read as plain JSON,
only sequences of known layers are taken, and the weights are copied. Both of Keras's forms are read: HDF5 (`.h5`,
`.kerasmodel`), and `.keras`, a zip archive (https://keras.io/guides/serialization_and_saving/).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import ConfigError, DataError, FedcliError

if TYPE_CHECKING:
    import h5py

#: The layers that are read, and the names of their weights in Keras's order.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "InputLayer": (),
    "Embedding": ("embeddings",),
    "GRU": ("kernel", "recurrent_kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "Conv2D": ("kernel", "bias"),
    "MaxPooling2D": (),
    "Flatten": (),
    "Dropout": (),
    "Softmax": (),
}
#: Layers from other places than Keras are code that the file's author wrote.
_KERAS_MODULES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURE = b"PK\x03\x04"
#: Weights hardly compress: a member that unpacks to far more than the file is an attack.
_MAX_INFLATION = 4
_KNOWN_HINT = f"fedcli reads sequential models of {', '.join(LAYERS)}; it runs no code from a file"


@dataclass(frozen=True)
class Layer:
    """One layer of a file.

    Attributes:
        kind: Its class, one of `LAYERS`.
        config: Its description, as Keras wrote it.
        weights: float32, in Keras's order.
    """

    kind: str
    config: Mapping[str, Any]
    weights: tuple[NDArray[np.float32], ...]


def read_keras_file(path: Path) -> list[Layer]:
    """Reads a Keras file.

    Args:
        path: A `.keras`, `.h5` or `.kerasmodel` file; its content decides, not its name.

    Returns:
        The layers, from input to output.

    Raises:
        DataError: The file cannot be read, is no Keras file, is truncated or damaged.
        ConfigError: It holds something else than a sequence of known layers.
    """
    try:
        with path.open("rb") as file:
            signature = file.read(8)
            file.seek(0)
            if signature == _HDF5_SIGNATURE:
                return _read_hdf5(path, file)
            if signature[:4] == _ZIP_SIGNATURE:
                return _read_archive(path, file)
    except FedcliError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise DataError(
                f"cannot read {path}: {error.strerror or error}", "check the path and its rights"
            ) from error
        raise _damaged(path, str(error)) from error  # h5py's way to say truncated
    except MemoryError as error:
        raise _damaged(path, "its sizes make no sense") from error
    except Exception as error:
        # Bytes changed at random provoke many kinds of errors in zipfile, zlib, json, h5py and NumPy.
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    raise DataError(
        f"{path} is not a Keras file" if signature else f"{path} is empty",
        "give a model saved by Keras (.keras, .h5 or .kerasmodel), a run directory or a name",
    )


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is truncated or damaged: {' '.join(reason.split())}", "get or save the file again")


def _read_hdf5(path: Path, file: BinaryIO) -> list[Layer]:
    import h5py

    with h5py.File(file, "r") as hdf5:
        if "model_config" not in hdf5.attrs:
            raise ConfigError(
                f"{path} holds weights or data, but no Keras model",
                "save the whole model: model.save(...), not model.save_weights(...)",
            )
        descriptions = _layers(path, json.loads(_text(hdf5.attrs["model_config"])))
        groups = _member(hdf5, "model_weights")
        return [
            Layer(kind, config, tuple(_hdf5_weights(_member(groups, config["name"])) if _has_weights(kind) else ()))
            for kind, config in descriptions
        ]


def _hdf5_weights(group: h5py.Group) -> Iterator[NDArray[np.float32]]:
    for name in group.attrs["weight_names"]:
        yield _array(_member(group, _text(name)))


def _read_archive(path: Path, file: BinaryIO) -> list[Layer]:
    import h5py

    limit = _MAX_INFLATION * path.stat().st_size
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "config.json" not in names or "model.weights.h5" not in names:
            raise ConfigError(f"{path} is an archive, but no Keras model", "give a model saved by Keras (.keras)")
        for name in ("config.json", "model.weights.h5"):
            if archive.getinfo(name).file_size > limit:
                raise ValueError(f"{name} unpacks to {archive.getinfo(name).file_size} bytes")
        descriptions = _layers(path, json.loads(archive.read("config.json")))
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as hdf5:
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
            if _has_weights(kind):
                folder = _member(folders, next(name for name in candidates if name in folders))
                variables = _member(_member(folder, "cell") if kind == "GRU" else folder, "vars")
                arrays = tuple(_array(_member(variables, name)) for name in sorted(variables, key=int))
            layers.append(Layer(kind, config, arrays))
        return layers


def _has_weights(kind: str) -> bool:
    return bool(LAYERS[kind])


def _layers(path: Path, model: Any) -> list[tuple[str, dict[str, Any]]]:
    """Checks a model's description; returns the class and description of each layer."""
    _refuse_foreign(path, model)
    if model["class_name"] != "Sequential":
        raise ConfigError(f"{path} holds a model of class {_shown(model['class_name'])}", _KNOWN_HINT)
    config = model["config"]
    entries = config if isinstance(config, list) else config["layers"]  # a bare list until Keras 2.2.3
    # Keras 3 writes the model's own flag too: without it no layer is trained.
    frozen = {} if isinstance(config, list) or config.get("trainable", True) else {"trainable": False}
    layers = []
    for entry in entries:
        kind = entry["class_name"]
        if kind not in LAYERS:
            raise ConfigError(f"{path} has a layer of class {_shown(kind)}", _KNOWN_HINT)
        _refuse_foreign(path, entry)
        layers.append((kind, {**entry["config"], **frozen}))
    return layers


def _refuse_foreign(path: Path, entry: Mapping[str, Any]) -> None:
    module, registered = entry.get("module"), entry.get("registered_name")
    root = str(module or "keras")
    if not any(root == known or root.startswith(f"{known}.") for known in _KERAS_MODULES):
        raise ConfigError(f"{path} needs code from {_shown(module)} (class {_shown(entry['class_name'])})", _KNOWN_HINT)
    if registered not in (None, entry["class_name"]):
        raise ConfigError(f"{path} has a custom object, {_shown(registered)}", _KNOWN_HINT)


def _shown(name: object) -> str:
    """Returns a name from a file as a message shows it: short, and without control characters."""
    text = "".join(c if c.isprintable() else "?" for c in str(name))
    return text if len(text) <= 60 else f"{text[:60]}..."


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


def _array(dataset: h5py.Dataset) -> NDArray[np.float32]:
    if dataset.external or dataset.is_virtual or dataset.id.get_storage_size() < dataset.nbytes:
        raise ValueError(f"{dataset.name} does not hold its {dataset.nbytes} bytes")
    if dataset.dtype.kind != "f":
        raise ValueError(f"{dataset.name} is of type {dataset.dtype}")
    array = np.asarray(dataset[()], np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} has numbers that are not finite")
    return array
