"""Fingerprints what a run is made from: its data, first model and third parties' code; see `fedcli.runs.inputs`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedcli.config.schema import FinetuneConfig, TrainConfig
from fedcli.errors import RunDirectoryError
from fedcli.pretrained import about_file
from fedcli.registry import Component, foreign_source
from fedcli.runs.atomic import read_json
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import last_round
from fedcli.runs.record import read_record

if TYPE_CHECKING:
    from fedcli.pretrained import Pretrained


def inputs_of(config: TrainConfig, pretrained: Pretrained | None = None) -> dict[str, Any]:
    """Returns what run.json says of a run's inputs.

    Args:
        config: The run's config. Data that are not in the cache are not fetched, and stay unknown.
        pretrained: The model that a fine-tuning begins with.
    """
    return {
        "data": {"name": config.dataset.title, "sha256": config.dataset.fingerprint()},
        "pretrained": None if pretrained is None else _pretrained(pretrained),
        "sources": sources_of(config),
    }


def load_inputs(config: TrainConfig) -> tuple[dict[str, Any], Pretrained | None]:
    """Returns `inputs_of`, and the pretrained model that a fine-tuning begins with."""
    pretrained = config.load_pretrained() if isinstance(config, FinetuneConfig) else None
    return inputs_of(config, pretrained), pretrained


def sources_of(config: Any) -> dict[str, str]:
    """Hashes the Python files of the third parties' packages that the config's components come from, by package."""
    components = [
        value for item in dataclasses.fields(config) if isinstance(value := getattr(config, item.name), Component)
    ]
    return {name: _hash_of(files) for name, files in sorted(foreign_source(components).items())}


def _hash_of(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _pretrained(pretrained: Pretrained) -> dict[str, Any]:
    return {"name": pretrained.source, "sha256": pretrained.fingerprint, "run": _maker(pretrained.path)}


def _maker(path: Path) -> dict[str, Any] | None:
    """Says of the run that made a model what its record says of what the model has seen; None where it is not known.

    Args:
        path: The file of the weights: in the run's folder, among its checkpoints, or that of a name.
    """
    for folder in (path.parent, path.parent.parent):
        run = RunDirectory(folder)
        if run.is_recorded:
            try:
                return _run(run)
            except RunDirectoryError:
                return None
    try:
        about = read_json(about_file(path))
    except RunDirectoryError:
        return None
    text = {"data": {"name": about.get("text"), "sha256": about.get("text_sha256")}}
    return {"id": about.get("run_id"), "command": "pretrain", "rounds": about.get("epoch"), "inputs": text}


def _run(run: RunDirectory) -> dict[str, Any]:
    record = read_record(run.run_json)
    return {
        "id": record.id,
        "command": record.command,
        "rounds": last_round(run.metrics_csv),
        "privacy": record.privacy,
        "inputs": record.inputs,
    }
