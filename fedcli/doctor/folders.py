"""Whether the folders that fedcli writes can be written, and how much space they have."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fedcli.datasets.origin import resolve_cache_dir
from fedcli.doctor.check import Check

#: The largest data set, EMNIST: 171 MB to fetch, 4.7 GB unpacked.
_CACHE_NEEDS = 4_900_000_000
#: A run with checkpoints of a model of some million parameters takes some 10 MB.
_OUTPUT_NEEDS = 500_000_000


def check_cache(cache_dir: str | None = None) -> Check:
    """Checks the folder that data is kept in; see `resolve_cache_dir`."""
    return _check(
        "cache",
        resolve_cache_dir(cache_dir),
        _CACHE_NEEDS,
        "dataset=emnist takes 4.7 GB",
        "choose another folder with dataset.cache_dir=FOLDER or FEDCLI_CACHE=FOLDER",
    )


def check_output(output_dir: str = "outputs") -> Check:
    """Checks the folder that runs are recorded in."""
    return _check(
        "outputs",
        Path(output_dir).absolute(),
        _OUTPUT_NEEDS,
        "checkpoints of many runs may not fit",
        "choose another folder with output_dir=FOLDER",
    )


def _check(name: str, folder: Path, needs: int, too_small: str, elsewhere: str) -> Check:
    # A folder that is not there yet is not made: looking at an installation leaves nothing behind.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"fedcli")
            file.flush()
    except OSError as error:
        return Check(name, "failed", f"{folder} cannot be written: {error.strerror or error}", elsewhere)
    free = shutil.disk_usage(existing).free
    found = f"{folder}{'' if existing == folder else ' (not made yet)'}, {free / 1e9:.1f} GB free"
    if free < needs:
        return Check(name, "warning", f"{found}: {too_small}", f"free some, or {elsewhere}")
    return Check(name, "passed", found)
