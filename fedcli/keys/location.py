"""Where the YAML files of the config are, and which choices each group has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fedcli


def config_folder() -> Path:
    """Returns the folder of fedcli's YAML files: inside an installed package, else the checkout's."""
    package = Path(fedcli.__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def choices(extra: Sequence[Path] = ()) -> dict[str, list[str]]:
    """Lists the choices of each config group.

    Args:
        extra: Further folders with YAML files, as given by --config-dir.
    """
    found: dict[str, set[str]] = {}
    for folder in (config_folder(), *extra):
        for file in folder.glob("*/*.yaml"):
            if file.parent.name != "hydra":
                found.setdefault(file.parent.name, set()).add(file.stem)
    return {group: sorted(names) for group, names in sorted(found.items())}
