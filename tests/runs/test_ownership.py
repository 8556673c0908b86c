import os
from pathlib import Path

import pytest

from fedcli.runs.ownership import is_own


def test_files_of_this_user_are(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_own(tmp_path, tmp_path / "file")
    assert not is_own(tmp_path, tmp_path / "none")


def test_files_of_another_user_are_not(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 65534, 65534)
    assert not is_own(tmp_path / "file")
    # A link to it is not either, nor one that another user made.
    (tmp_path / "link").symlink_to("file")
    assert not is_own(tmp_path / "link")
    (tmp_path / "theirs").symlink_to(".")
    os.chown(tmp_path / "theirs", 65534, 65534, follow_symlinks=False)
    assert not is_own(tmp_path / "theirs")
