import errno
import os

import pytest

from fedcli.regular_file import open_regular, read_regular


def test_a_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with open_regular(tmp_path / "file") as file:
        assert file.read(2) == b"12"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_regular(tmp_path / "file", 4)


def test_nothing_is_read_of_a_file_that_is_too_large(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="more than 1,000 bytes") as caught:
        read_regular(tmp_path / "sparse", 1000)
    assert caught.value.errno == errno.EFBIG


def test_a_file_that_has_more_than_its_size_says_is_bounded():
    with pytest.raises(OSError, match="more than 3 bytes"):
        read_regular("/proc/self/status", 3)  # its size is 0


@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_other_files_are_refused_at_once(tmp_path, kind):
    path = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path = "/dev/zero" if kind == "device" else path
        if kind == "link":
            path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(path, 1000)


def test_what_is_not_there_and_folders_have_the_usual_errors(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, 1000)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nowhere", 1000)
