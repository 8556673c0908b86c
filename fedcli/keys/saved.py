"""Reads the config.yaml of a run, which may come from somebody else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fedcli.keys.yaml_bounds import read_yaml

#: How an interpolation begins. OmegaConf resolves it wherever the text goes into a config: `${oc.env:SECRET}`.
INTERPOLATION = "${"


def read_saved(path: Path) -> dict[str, Any]:
    """Reads a resolved config as plain dictionaries, lists and values.

    Raises:
        OSError: It is no regular file, or larger than a config.
        ValueError: The file is no config, its aliases stand for too much, or a value is an interpolation, which fedcli
            never writes: OmegaConf would replace it, for example by a variable of the reader's environment.
        Exception: Whatever OmegaConf raises for a file that it cannot read.
    """
    # An alias of aliases is small, and huge when OmegaConf copies what it stands for.
    text = io.TextIOWrapper(io.BytesIO(read_yaml(path)), encoding="utf-8")
    document = OmegaConf.to_container(OmegaConf.load(text), resolve=False)
    if not isinstance(document, dict):
        raise ValueError("not a config")
    plain = {str(key): value for key, value in document.items()}
    _refuse_interpolations(plain, "")
    return plain


def _refuse_interpolations(value: Any, key: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_interpolations(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for item in value:
            _refuse_interpolations(item, key)
    elif isinstance(value, str) and INTERPOLATION in value:
        raise ValueError(f"{key} holds an interpolation, {value[:80]}, which a run's config never does")
