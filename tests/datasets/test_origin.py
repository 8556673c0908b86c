from pathlib import Path

import pytest

from fedcli.datasets.origin import PUBLISHED_ORIGIN, origin_folder, resolve_cache_dir, resolve_origin, shown
from fedcli.errors import ConfigError


@pytest.mark.usefixtures("cache")
def test_argument_before_environment_before_published(monkeypatch):
    assert resolve_origin() == PUBLISHED_ORIGIN
    monkeypatch.setenv("FEDCLI_ORIGIN", "http://mirror.example")
    assert resolve_origin() == "http://mirror.example"
    assert resolve_origin("file:///data/") == "file:///data"


def test_spellings_of_one_origin_are_one():
    spellings = ("HTTPS://Storage.googleapis.com/", "https://storage.googleapis.com")
    assert {resolve_origin(spelling) for spelling in spellings} == {PUBLISHED_ORIGIN}
    assert resolve_origin("file://localhost/data") == resolve_origin("file:///data")


@pytest.mark.parametrize("origin", ["ftp://host", "http://", "../mirror", "mirror", "file://relative/path"])
def test_other_origins_are_refused(origin):
    with pytest.raises(ConfigError) as caught:
        resolve_origin(origin)
    assert f"dataset.origin={origin}" in caught.value.message
    assert "://" in caught.value.hint


def test_folder_is_readable_and_without_password(tmp_path):
    assert origin_folder(PUBLISHED_ORIGIN, tmp_path).name.startswith("storage.googleapis.com-")
    secret = origin_folder("https://someone:secret@host/a", tmp_path)
    assert secret.name.startswith("host-a-")
    assert shown("https://someone:secret@host/a") == "https://host/a"
    long = origin_folder("file:///" + "folder/" * 60 + "end", tmp_path).name
    assert len(long) < 80
    assert "end" in long


@pytest.mark.parametrize("origin", ["https://someone:secret@host/a", "https://secret@host", "ftp://a:secret@host"])
def test_a_password_in_a_config_is_refused(origin):
    with pytest.raises(ConfigError, match=r"\*\*\*@host") as caught:
        resolve_origin(origin)
    assert "secret" not in caught.value.message + caught.value.hint
    assert "netrc" in caught.value.hint
    assert "FEDCLI_ORIGIN" in caught.value.hint


def test_a_password_in_the_environment_is_taken(monkeypatch):
    monkeypatch.setenv("FEDCLI_ORIGIN", "https://someone:secret@host/a")
    assert resolve_origin() == "https://someone:secret@host/a"


def test_a_query_is_refused(monkeypatch):
    monkeypatch.setenv("FEDCLI_ORIGIN", "https://host/a?signature=secret")
    with pytest.raises(ConfigError, match="has a query") as caught:
        resolve_origin()
    assert "secret" not in caught.value.message + caught.value.hint


def test_cache_dir(cache, monkeypatch, tmp_path):
    assert resolve_cache_dir() == cache
    assert resolve_cache_dir(tmp_path) == tmp_path
    monkeypatch.delenv("FEDCLI_CACHE")
    assert resolve_cache_dir() == Path.home() / ".cache" / "fedcli"
