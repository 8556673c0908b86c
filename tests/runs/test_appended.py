import errno
import os

import pytest

from fedcli.errors import RunDirectoryError
from fedcli.runs.appended import AppendedFile


def test_appends_after_what_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one\ntw")
    file = AppendedFile(path, lambda data: data.rfind(b"\n") + 1)
    file.append(b"three\n")
    file.close()
    assert path.read_bytes() == b"one\nthree\n"
    assert file.size == 10
    with pytest.raises(ValueError, match="closed"):
        file.append(b"four\n")


def test_a_piece_that_does_not_fit_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "file"
    file = AppendedFile(path, len)
    file.append(b"one\n")
    pwrite = os.pwrite

    def full(descriptor, data, offset):
        if len(data) < 3:
            raise OSError(errno.ENOSPC, "full")
        return pwrite(descriptor, data[:2], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(RunDirectoryError, match="No space left"):
            file.append(b"two\n")
    assert path.read_bytes() == b"one\n"
    file.append(b"three\n")
    assert path.read_bytes() == b"one\nthree\n"
    file.close()


def test_a_refusal_leaves_the_file_as_it_is(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"not ours")

    def refuse(data):
        raise RunDirectoryError("not ours", "take another")

    with pytest.raises(RunDirectoryError, match="not ours"):
        AppendedFile(path, refuse)
    assert path.read_bytes() == b"not ours"
