"""Reads the layers and weights of a Keras file without Keras, so that nothing a file carries is ever executed.

Keras's own loader makes whatever objects the file names. Here the description of the layers is read as plain JSON,
only sequences of known layers are taken, and the weights are copied. Both of Keras's forms are read: HDF5 (`.h5`,
`.kerasmodel`), and `.keras`, a zip archive (https://keras.io/guides/serialization_and_saving/). A child process reads
them, with limits of time and memory: a damaged HDF5 file can keep its library busy forever.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from fedcli.errors import ConfigError, DataError, FedcliError
from fedcli.models.keras_content import HDF5_SIGNATURE, ZIP_SIGNATURE, read_archive, read_hdf5
from fedcli.models.keras_layers import LAYERS, Layer
from fedcli.models.limited_process import LimitError, Limits, run_limited

__all__ = ["LAYERS", "Layer", "read_keras_file"]

#: Errors that the child process may report, by name.
_ERRORS = {error.__name__: error for error in (ConfigError, DataError)}


#: The layers of the file that was read last, by what tells that it is still the same.
_last_read: dict[tuple[object, ...], list[Layer]] = {}


def read_keras_file(path: Path) -> list[Layer]:
    """Reads a Keras file.

    Args:
        path: A `.keras`, `.h5` or `.kerasmodel` file; its content decides, not its name.

    Returns:
        The layers, from input to output. Their weights are read-only.

    Raises:
        DataError: The file cannot be read, is no Keras file, is truncated or damaged.
        ConfigError: It holds something else than a sequence of known layers.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{path} is not a regular file", "give a file that Keras saved")
        # A command reads a model to check it and again to train it: the second time it has started a runtime, which a
        # fork would copy.
        key = (path.absolute(), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if key in _last_read:
            return _last_read[key]
        with path.open("rb") as file:
            signature = file.read(8)
        if not signature.startswith((HDF5_SIGNATURE, ZIP_SIGNATURE)):
            raise DataError(
                f"{path} is not a Keras file" if signature else f"{path} is empty",
                "give a model saved by Keras (.keras, .h5 or .kerasmodel), a run directory or a name",
            )
        import h5py  # noqa: F401 (before the fork, so that the child process need not import it)

        layers = _decoded(run_limited(partial(_encoded, path), _limits(found.st_size)))
        _last_read.clear()
        _last_read[key] = layers
        return layers
    except (LimitError, ValueError, TypeError, LookupError) as error:
        # The latter if the library wrote beyond its memory, and so into what the child process gave.
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", "check the path and its rights") from error


def _limits(size: int) -> Limits:
    """Returns what reading a file of `size` bytes may take: many times what a sound one takes."""
    return Limits(
        cpu_seconds=10 + size // 10_000_000,
        seconds=300 + size / 1_000_000,
        memory=2**29 + 16 * size,
        output=2**20 + 8 * size,
    )


def _encoded(path: Path) -> Iterator[bytes | memoryview]:
    """Reads a file in the child process.

    Yields:
        The length of a JSON document, in 8 bytes, and the document: the layers with the shapes of their weights, or the
        error. Then the weights one after the other, float32.
    """
    weights: list[memoryview] = []
    try:
        layers = _read(path)
        document: dict[str, object] = {
            "layers": [[layer.kind, layer.config, [weight.shape for weight in layer.weights]] for layer in layers]
        }
        weights = [weight.ravel().data.cast("B") for layer in layers for weight in layer.weights if weight.size]
    except FedcliError as error:
        document = {"error": [type(error).__name__, error.message, error.hint]}
    text = json.dumps(document).encode()
    yield len(text).to_bytes(8, "little")
    yield text
    yield from weights


def _decoded(data: memoryview) -> list[Layer]:
    """Reads what `_encoded` yielded; see there."""
    start = 8 + int.from_bytes(data[:8], "little")
    document = json.loads(bytes(data[8:start]))
    if "error" in document:
        name, message, hint = document["error"]
        raise _ERRORS[name](message, hint)
    layers = []
    for kind, config, shapes in document["layers"]:
        weights = []
        for shape in shapes:
            count = int(np.prod(shape, dtype=np.int64))
            weights.append(np.frombuffer(data.toreadonly(), np.float32, count, start).reshape(shape))
            start += 4 * count
        layers.append(Layer(kind, config, tuple(weights)))
    return layers


def _read(path: Path) -> list[Layer]:
    try:
        with path.open("rb") as file:
            is_hdf5 = file.read(8) == HDF5_SIGNATURE
            file.seek(0)
            return read_hdf5(path, file) if is_hdf5 else read_archive(path, file)
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


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is truncated or damaged: {' '.join(reason.split())}", "get or save the file again")
