import errno
import os
import shutil
import socket
from base64 import b64decode

import pytest

from fedcli.datasets.download import ATTEMPTS, BACKOFF, download
from fedcli.errors import DownloadError
from tests.datasets.origin_server import serve

BODY = os.urandom(400_000)


@pytest.fixture
def origin():
    with serve(BODY) as server:
        yield server


@pytest.fixture
def waits():
    return []


@pytest.fixture
def get(origin, tmp_path, waits):
    """Downloads from the server into `x.part` and returns its content."""

    def run():
        part = tmp_path / "x.part"
        download(f"{origin.url}/x", part, hint="the hint", wait=waits.append)
        return part.read_bytes()

    return run


def test_fetches_and_leaves_nothing_beside(get, origin, tmp_path):
    assert get() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["x.part"]
    assert origin.requests == [("/x", None)]


def test_cut_connection_is_resumed(get, origin, waits):
    origin.faults = [("cut", 250_000)]
    assert get() == BODY
    (_, first), (_, second) = origin.requests
    assert first is None
    assert second.startswith("bytes=")
    assert int(second[6:-1]) > 100_000
    assert waits == [BACKOFF]


def test_cut_connection_of_a_server_without_ranges_starts_again(get, origin):
    origin.ranges = False
    origin.faults = [("cut", 250_000)]
    assert get() == BODY
    assert len(origin.requests) == 2


def test_file_that_changed_in_between_is_not_mixed(get, origin):
    origin.faults = [("cut", 250_000)]

    def change():
        if len(origin.requests) == 2:
            origin.body, origin.etag = BODY[::-1], '"v2"'

    origin.before_answer = change
    assert get() == BODY[::-1]


def test_file_that_changed_its_size_without_an_etag_is_not_mixed(get, origin):
    origin.etag = ""
    origin.faults = [("cut", 250_000)]

    def change():
        if len(origin.requests) == 2:
            origin.body = BODY[::-1] + b"more"

    origin.before_answer = change
    assert get() == BODY[::-1] + b"more"


def test_interrupted_call_is_resumed_by_the_next(get, origin):
    origin.faults = [("cut", 250_000)] + [("status", 503)] * (ATTEMPTS - 1)
    with pytest.raises(DownloadError):
        get()
    assert get() == BODY
    assert int(origin.requests[-1][1][6:-1]) > 100_000


def test_part_that_is_whole_already_is_taken(get, origin, tmp_path):
    origin.faults = [("cut", 250_000)] + [("status", 503)] * (ATTEMPTS - 1)
    with pytest.raises(DownloadError):
        get()
    (tmp_path / "x.part").write_bytes(BODY)
    assert get() == BODY
    assert origin.requests[-1][1] == f"bytes={len(BODY)}-"


def test_part_longer_than_the_file_is_thrown_away(get, origin, tmp_path):
    origin.faults = [("cut", 250_000)] + [("status", 503)] * (ATTEMPTS - 1)
    with pytest.raises(DownloadError):
        get()
    (tmp_path / "x.part").write_bytes(BODY + b"more")
    assert get() == BODY


def test_part_of_unknown_origin_is_thrown_away(get, tmp_path):
    (tmp_path / "x.part").write_bytes(b"something else")
    assert get() == BODY


def test_500_then_200(get, origin, waits):
    origin.faults = [("status", 500), ("status", 502)]
    assert get() == BODY
    assert waits == [BACKOFF, 2 * BACKOFF]


@pytest.mark.parametrize("status", [403, 404])
def test_4xx_fails_at_once(get, origin, waits, status):
    origin.faults = [("status", status)] * 9
    with pytest.raises(DownloadError, match=str(status)) as caught:
        get()
    assert f"{origin.url}/x" in caught.value.message
    assert caught.value.hint == "the hint"
    assert len(origin.requests) == 1
    assert waits == []


def test_gives_up_after_bounded_attempts(get, origin, waits):
    origin.faults = [("status", 503)] * 99
    with pytest.raises(DownloadError, match="503"):
        get()
    assert len(origin.requests) == ATTEMPTS
    assert waits == [BACKOFF * 2**i for i in range(ATTEMPTS - 1)]


def test_no_network(tmp_path, waits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(DownloadError) as caught:
            download(url, tmp_path / "x.part", wait=waits.append)
    assert caught.value.message == f"cannot fetch {url}: Connection refused"
    assert len(waits) == ATTEMPTS - 1


def test_missing_certificates_are_no_fault_of_the_cache(tmp_path, monkeypatch, waits):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(DownloadError, match=r"none\.pem"):
        download("https://127.0.0.1:9/x", tmp_path / "x.part", wait=waits.append)


def test_password_of_the_origin_is_not_shown(origin, tmp_path):
    origin.faults = [("status", 404)]
    url = origin.url.replace("http://", "http://someone:secret@")
    with pytest.raises(DownloadError) as caught:
        download(f"{url}/x", tmp_path / "x.part")
    assert "secret" not in caught.value.message


def test_password_from_netrc(origin, tmp_path, monkeypatch):
    sent = []
    answer = origin.answer
    origin.answer = lambda handler: (sent.append(handler.headers.get("Authorization")), answer(handler))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    download(f"{origin.url}/x", tmp_path / "x.part")
    assert b64decode(sent[0].removeprefix("Basic ")) == b"someone:secret"


def test_copies_from_a_folder(tmp_path):
    (tmp_path / "a b").write_bytes(BODY)
    download((tmp_path / "a b").as_uri(), tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY


def test_missing_in_a_folder(tmp_path):
    url = (tmp_path / "none").as_uri()
    with pytest.raises(DownloadError) as caught:
        download(url, tmp_path / "x.part")
    assert caught.value.message == f"cannot fetch {url}: No such file or directory"
    assert list(tmp_path.iterdir()) == []


def test_interrupted_copy_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "source").write_bytes(BODY)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        download((tmp_path / "source").as_uri(), tmp_path / "x.part")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_folder_s_pipe_or_device_is_not_copied(tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "source")
    else:
        (tmp_path / "source").symlink_to("/dev/zero")
    with pytest.raises(DownloadError, match="not a regular file"):
        download((tmp_path / "source").as_uri(), tmp_path / "x.part", hint="the hint")
    assert not (tmp_path / "x.part").exists()


def test_a_file_that_is_larger_than_any_is_refused(get, tmp_path, monkeypatch):
    monkeypatch.setattr("fedcli.datasets.download._LARGEST", len(BODY) - 1)
    with pytest.raises(DownloadError, match="it has more than 399,999 bytes"):
        get()
    assert not (tmp_path / "x.part").exists()


def test_a_server_that_sends_without_end_is_cut_off(get, origin, tmp_path, monkeypatch):
    """It announces no length."""
    origin.length = False
    monkeypatch.setattr("fedcli.datasets.download._LARGEST", 100_000)
    with pytest.raises(DownloadError, match="it has more than 100,000 bytes"):
        get()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("origin_is_a_folder", [False, True])
def test_what_does_not_fit_on_the_disk_is_not_begun(origin, tmp_path, monkeypatch, origin_is_a_folder):
    usage = shutil.disk_usage(tmp_path)._replace(free=len(BODY) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    (tmp_path / "source").write_bytes(BODY)
    url = (tmp_path / "source").as_uri() if origin_is_a_folder else f"{origin.url}/x"
    with pytest.raises(OSError, match="No space left"):
        download(url, tmp_path / "x.part", hint="the hint")
    assert not (tmp_path / "x.part").exists()
