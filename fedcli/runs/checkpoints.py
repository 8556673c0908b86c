"""checkpoints/: the server state, written whole or not at all, and verified when it is read.

A checkpoint is an uncompressed .npz file: a zip archive of NumPy arrays, which anything that reads .npz can
open. The arrays are numbered, because a tensor's name can be any text; `manifest.json` inside the archive
gives their names, types and shapes. No part of it is ever executed: pickled arrays are neither written nor
read.
"""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import atomic_file, damaged, remove_leftovers, storage_errors

_log = logging.getLogger(__name__)

_SCHEMA_VERSION = 1
_MANIFEST = "manifest.json"
_FILE_NAME = re.compile(r"round_([0-9]{6,})\.npz")
#: bool, integers, floats, complex numbers, byte strings, text. Everything else would need pickle.
_KINDS = "biufcSU"
_BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    Attributes:
        round: Rounds of training that led to this state.
        tensors: Name and value of each tensor, in the order in which they were saved.
        meta: What was saved with them.
    """

    round: int
    tensors: list[tuple[str, NDArray[Any]]]
    meta: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: Where they are. Made by the first `save`.
        keep: How many of the newest to keep. With 1, a damaged disk block can cost the whole run.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}; a store keeps at least 1 checkpoint")
        self.folder = folder
        self._keep = keep

    def path(self, round: int) -> Path:
        """Returns the file of a round's checkpoint, whether or not it exists."""
        return self.folder / f"round_{round:06d}.npz"

    def rounds(self) -> list[int]:
        """Returns the rounds that have a checkpoint, oldest first, without reading them."""
        with storage_errors(self.folder, "read"):
            names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(match[1]) for match in map(_FILE_NAME.fullmatch, names) if match)

    def save(self, round: int, tensors: Sequence[tuple[str, NDArray[Any]]], meta: dict[str, Any]) -> Path:
        """Writes a checkpoint; then, when it is safely on the disk, removes those no longer needed.

        Checkpoints of later rounds are removed too: after a resume from an earlier round they belong to a
        history that was given up.

        Args:
            round: Rounds of training that led to this state.
            tensors: Names, each once, and arrays of bool, numbers (bfloat16 too), byte strings or text.
            meta: Anything that JSON can hold.

        Returns:
            The file.

        Raises:
            RunDirectoryError: It cannot be written. Older checkpoints are still there.
            TypeError: An array is of another type, such as Python objects.
            ValueError: A name is there twice, or JSON cannot hold `meta`.
        """
        path = self.path(round)
        save_checkpoint(path, round, tensors, meta)
        self._prune(round)
        return path

    def load(self, round: int) -> Checkpoint:
        """Reads and verifies the checkpoint of a round.

        Raises:
            RunDirectoryError: There is none, or it cannot be read or is damaged.
        """
        return load_checkpoint(self.path(round), round)

    def latest(self, max_round: int | None = None) -> Checkpoint | None:
        """Reads the newest checkpoint that is whole, with a warning for each that is passed over.

        Args:
            max_round: Looks at no later rounds.

        Returns:
            The checkpoint, or None if there is none at all.

        Raises:
            RunDirectoryError: There are some, and all are damaged.
        """
        rounds = [round for round in self.rounds() if max_round is None or round <= max_round]
        for round in reversed(rounds):
            try:
                return self.load(round)
            except RunDirectoryError as error:
                _log.warning("passing over a checkpoint: %s", error.message)
        if rounds:
            raise RunDirectoryError(
                f"{self.folder}: none of the {len(rounds)} checkpoints can be read",
                "start the run again; the log says what is wrong with each checkpoint",
            )
        return None

    def clean(self, newest: int) -> None:
        """Removes what a killed process left: temporary files, and checkpoints that `save` would have removed.

        Args:
            newest: The round that the run goes on from.

        Raises:
            RunDirectoryError: A file cannot be removed.
        """
        remove_leftovers(self.folder)
        self._prune(newest)

    def _prune(self, newest: int) -> None:
        rounds = self.rounds()
        older = [round for round in rounds if round <= newest]
        later = [round for round in rounds if round > newest]
        with storage_errors(self.folder, "remove an old checkpoint in"):
            for round in older[: -self._keep] + later:
                self.path(round).unlink(missing_ok=True)


def save_checkpoint(path: Path, round: int, tensors: Sequence[tuple[str, NDArray[Any]]], meta: dict[str, Any]) -> None:
    """Writes one checkpoint whole or not at all, and makes its folder where it is missing; see `CheckpointStore.save`.

    Raises:
        RunDirectoryError: It cannot be written.
        TypeError: An array is of another type, such as Python objects.
        ValueError: A name is there twice, or JSON cannot hold `meta`.
    """
    arrays = [(name, np.asarray(value)) for name, value in tensors]
    manifest = _manifest(round, arrays, meta)
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        _write(file, manifest, arrays)


def load_checkpoint(path: Path, round: int) -> Checkpoint:
    """Reads and verifies one checkpoint.

    Raises:
        RunDirectoryError: There is none, it cannot be read, is damaged, or is of another round.
    """
    try:
        with storage_errors(path, "read"), open(path, "rb") as file:
            checkpoint = _read(file)
    except RunDirectoryError:
        raise
    except Exception as error:
        # Bytes changed at random provoke many kinds of errors in zipfile, zlib, json and NumPy.
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    if checkpoint.round != round:
        raise damaged(path, f"it holds round {checkpoint.round}")
    return checkpoint


def _manifest(round: int, arrays: Sequence[tuple[str, NDArray[Any]]], meta: dict[str, Any]) -> bytes:
    names = [name for name, _ in arrays]
    if len(set(names)) != len(names):
        raise ValueError(f"tensor names are not unique: {sorted({n for n in names if names.count(n) > 1})}")
    document = {
        "schema_version": _SCHEMA_VERSION,
        "round": round,
        "tensors": [
            {"name": name, "dtype": _dtype_name(name, array), "shape": list(array.shape)} for name, array in arrays
        ],
        "meta": meta,
    }
    return json.dumps(document).encode()


def _dtype_name(name: str, array: NDArray[Any]) -> str:
    if array.dtype.name == _BFLOAT16:
        return _BFLOAT16
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"tensor {name!r} of type {array.dtype} cannot be saved in a checkpoint")
    return array.dtype.str


def _write(file: IO[bytes], manifest: bytes, arrays: Sequence[tuple[str, NDArray[Any]]]) -> None:
    # ZipInfo's default date is fixed, so that equal states give equal files.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_MANIFEST), manifest)
        for index, (_, array) in enumerate(arrays):
            # NumPy's format has no name for bfloat16: its bits are stored as integers of the same size.
            plain = array.view(np.uint16) if array.dtype.name == _BFLOAT16 else array
            with archive.open(zipfile.ZipInfo(_member(index)), "w", force_zip64=True) as member:
                # Not np.ascontiguousarray, which turns a scalar into a vector.
                np.lib.format.write_array(member, np.asarray(plain, order="C"), allow_pickle=False)


def _read(file: IO[bytes]) -> Checkpoint:
    with zipfile.ZipFile(file) as archive:
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("compressed, so not written by fedcli")
        manifest = json.loads(archive.read(_MANIFEST))
        if manifest["schema_version"] != _SCHEMA_VERSION:
            raise ValueError(f"form {manifest['schema_version']} of checkpoints is not known")
        tensors = list(_read_tensors(archive, manifest["tensors"]))
        return Checkpoint(int(manifest["round"]), tensors, dict(manifest["meta"]))


def _read_tensors(archive: zipfile.ZipFile, entries: list[dict[str, Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    for index, entry in enumerate(entries):
        # Read whole, so that its CRC is known to be right before NumPy believes a shape and allocates for it.
        member = io.BytesIO(archive.read(_member(index)))
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):
            raise ValueError(f"{entry['name']!r} is longer than its shape")
        if entry["dtype"] == _BFLOAT16:
            import ml_dtypes  # TensorFlow's NumPy types; needed by few checkpoints

            array = array.view(ml_dtypes.bfloat16)
        if _dtype_name(entry["name"], array) != entry["dtype"] or list(array.shape) != entry["shape"]:
            raise ValueError(f"{entry['name']!r} is not of the type or shape that the manifest says")
        yield str(entry["name"]), array


def _member(index: int) -> str:
    return f"{index:06d}.npy"
