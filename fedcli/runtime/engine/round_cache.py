"""Keeps compiled rounds on disk, so that a repeated config needs neither TFF nor the seconds that compiling takes.

An entry is a zip file of data: the graphs (`GraphDef` protocol buffers) and a JSON manifest of what is fed and fetched.
Nothing in it is executed when it is read. Its name is a hash of everything that goes into a round: the config's parts,
the source of fedcli and of third parties' components, and the versions of TensorFlow and TFF. An entry that is damaged,
or from elsewhere, is ignored and written anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from fedcli.errors import FedcliError
from fedcli.registry import foreign_source
from fedcli.runs.atomic import atomic_path
from fedcli.runtime.engine.communication import Communication
from fedcli.runtime.engine.compiled import CompiledRound, Leaf, Part

_log = logging.getLogger(__name__)

#: Part of every name: another layout of entries does not meet this one.
_FORMAT = 3
_MANIFEST = "manifest.json"
#: The newest entries that are kept, by when they were last used. The CNN's takes 0.2 MB.
_LARGEST_COUNT = 100
_LARGEST_BYTES = 500 * 2**20


class RoundCache:
    """A folder of compiled rounds.

    Args:
        folder: The folder; made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> CompiledRound | None:
        """Reads an entry; None where there is no whole one."""
        path = self._path(key)
        try:
            with zipfile.ZipFile(path) as archive:
                compiled = _read(archive, key)
            os.utime(path)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged or foreign file makes of the readers
            _log.info("%s: not used: %s", path, error)
            return None
        _log.info("the compiled round is from %s", path)
        return compiled

    def store(self, key: str, compiled: CompiledRound) -> None:
        """Writes an entry, and removes what has not been used for longest. A full disk is no error here."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (
                atomic_path(self._path(key)) as partial,
                zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                _write(archive, key, compiled)
            self._remove_oldest()
        except (OSError, FedcliError) as error:
            _log.warning("the compiled round cannot be kept: %s", error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.zip"

    def _remove_oldest(self) -> None:
        entries = []
        for path in self.folder.glob("*.zip"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process removed it
                continue
            entries.append((status.st_mtime_ns, status.st_size, path))
        total = 0
        for count, (_, size, path) in enumerate(sorted(entries, reverse=True), start=1):
            total += size
            if count > _LARGEST_COUNT or total > _LARGEST_BYTES:
                path.unlink(missing_ok=True)


def round_key(parts: Iterable[Any]) -> str:
    """Hashes what a round is compiled from.

    Args:
        parts: Components of a config and other dataclasses, whose `repr` tells all of their values.
    """
    digest = hashlib.sha256()
    parts = tuple(parts)
    versions = [f"{name} {version(name)}" for name in ("tensorflow", "tensorflow-federated", "fedcli")]
    digest.update(repr((_FORMAT, versions, parts)).encode())
    foreign = (path for files in foreign_source(parts).values() for path in files.values())
    for path in sorted({*_own_source(), *foreign}):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _own_source() -> Iterator[Path]:
    """Lists the files of fedcli that graphs are built by."""
    package = Path(__file__).parents[2]
    parts = ("aggregators", "algorithms", "attacks", "compression", "distributors", "models", "optimizers")
    for part in (*parts, "runtime/engine"):
        yield from package.joinpath(part).rglob("*.py")
    yield package / "training" / "learning_model.py"
    yield package / "training" / "masked.py"


def _write(archive: zipfile.ZipFile, key: str, compiled: CompiledRound) -> None:
    graphs = {name: part.graph.SerializeToString(deterministic=True) for name, part in compiled.parts.items()}
    manifest = {
        "key": key,
        "parts": {
            name: {
                "inputs": part.inputs,
                "outputs": part.outputs,
                "initialize_op": part.initialize_op,
                "sha256": hashlib.sha256(graphs[name]).hexdigest(),
            }
            for name, part in compiled.parts.items()
        },
        "state": [_document(leaf) for leaf in compiled.state],
        "metrics": [_document(leaf) for leaf in compiled.metrics],
        "batch": [_document(leaf) for leaf in compiled.batch],
        "communication": dataclasses.asdict(compiled.communication),
        "kept": [_document(leaf) for leaf in compiled.kept],
        "changes_of_kept": compiled.changes_of_kept,
        "reports": compiled.reports,
        "tells_attackers": compiled.tells_attackers,
    }
    archive.writestr(_MANIFEST, json.dumps(manifest))
    for name, graph in graphs.items():
        archive.writestr(name, graph)


def _read(archive: zipfile.ZipFile, key: str) -> CompiledRound:
    manifest = json.loads(archive.read(_MANIFEST))
    if manifest["key"] != key:
        raise ValueError("it is another round's")
    x, y = (_leaf(document) for document in manifest["batch"])
    return CompiledRound(
        parts={name: _part(archive, name, document) for name, document in manifest["parts"].items()},
        state=tuple(_leaf(document) for document in manifest["state"]),
        metrics=tuple(_leaf(document) for document in manifest["metrics"]),
        batch=(x, y),
        communication=Communication(**manifest["communication"]),
        kept=tuple(_leaf(document) for document in manifest["kept"]),
        changes_of_kept=tuple(manifest["changes_of_kept"]),
        reports=manifest["reports"],
        tells_attackers=manifest["tells_attackers"],
    )


def _part(archive: zipfile.ZipFile, name: str, document: dict[str, Any]) -> Part:
    data = archive.read(name)
    if hashlib.sha256(data).hexdigest() != document["sha256"]:
        raise ValueError(f"the graph of {name} is damaged")
    graph = tf.compat.v1.GraphDef.FromString(data)
    return Part(graph, tuple(document["inputs"]), tuple(document["outputs"]), document["initialize_op"])


def _document(leaf: Leaf) -> dict[str, Any]:
    return {"path": leaf.path, "dtype": leaf.dtype.name, "shape": leaf.shape}


def _leaf(document: dict[str, Any]) -> Leaf:
    return Leaf(document["path"], np.dtype(document["dtype"]), tuple(document["shape"]))
