import warnings
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no origin in the environment."""
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEDCLI_ORIGIN", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def mirror_cache(tmp_path_factory):
    """One cache for all tests that read the small mirror."""
    return tmp_path_factory.mktemp("mirror-cache")


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow, imported without its own deprecation warning (of ml_dtypes.float8_e4m3b11)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import tensorflow
    return tensorflow


@pytest.fixture
def mirror(mirror_cache, monkeypatch, tensorflow):
    """The small mirror of the public bucket as the origin."""
    folder = SHARED / "mirror_small"
    if not folder.exists():
        pytest.skip("the small mirror, ../shared/mirror_small, is not on this machine")
    monkeypatch.setenv("FEDCLI_CACHE", str(mirror_cache))
    monkeypatch.setenv("FEDCLI_ORIGIN", folder.resolve().as_uri())
    return folder
