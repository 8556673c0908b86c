"""Tells whose files are: a shared folder may hold runs of other users."""

from __future__ import annotations

import os
from pathlib import Path


def is_own(*paths: Path) -> bool:
    """Tells whether every path exists and belongs to the user of this process.

    A symbolic link counts as the file that it leads to and as itself: whoever made the link decides where it leads.
    """
    user = os.geteuid()
    try:
        return all(status.st_uid == user for path in paths for status in (path.lstat(), path.stat()))
    except OSError:
        return False
