import lzma
import shutil

import pytest

from fedcli.datasets import lzma_archive
from fedcli.datasets.lzma_archive import unpack_lzma
from fedcli.errors import DataError


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Archives of a few kilobytes are large enough for these tests."""
    monkeypatch.setattr(lzma_archive, "_ALWAYS_ALLOWED", 2**16)


@pytest.fixture
def unpacked(tmp_path):
    def unpack(data, change=lambda packed: packed):
        packed = change(lzma.compress(data, lzma.FORMAT_ALONE))
        (tmp_path / "it.lzma").write_bytes(packed)
        unpack_lzma(tmp_path / "it.lzma", tmp_path / "it")
        return (tmp_path / "it").read_bytes()

    return unpack


def with_size(size):
    """Writes the size of what is packed into the header, which Python's writer leaves unknown."""
    return lambda packed: packed[:5] + size.to_bytes(8, "little") + packed[13:]


def test_what_was_packed_is_unpacked(unpacked):
    data = bytes(range(256)) * 100
    assert unpacked(data) == data
    assert unpacked(data, with_size(len(data))) == data


def test_a_small_archive_may_unpack_to_many_times_its_size(unpacked):
    assert unpacked(bytes(2**16)) == bytes(2**16)


def test_an_archive_that_unpacks_to_far_more_than_data_is_refused(unpacked, tmp_path):
    with pytest.raises(DataError, match=r"unpacks to more than \d+,\d+ bytes, far more than data of its size does"):
        unpacked(bytes(2**23))
    assert (tmp_path / "it").stat().st_size <= 150 * (tmp_path / "it.lzma").stat().st_size < 2**18


def test_a_size_in_the_header_is_refused_before_anything_is_written(unpacked, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="unpacks to more than 65,536 bytes"):
        unpacked(bytes(100), with_size(2**40))
    assert (tmp_path / "it").stat().st_size == 0
    usage = shutil.disk_usage(tmp_path)._replace(free=50)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="No space left"):
        unpacked(bytes(100), with_size(100))


def test_an_archive_that_wants_gigabytes_of_memory_is_refused(unpacked):
    dictionary = (3 * 2**30).to_bytes(4, "little")
    with pytest.raises(DataError, match="not a sound LZMA archive"):
        unpacked(bytes(100), lambda packed: packed[:1] + dictionary + packed[5:])


def test_an_archive_that_ends_too_early(unpacked):
    with pytest.raises(DataError, match="ends too early"):
        unpacked(bytes(range(256)) * 10, lambda packed: packed[:-20])
