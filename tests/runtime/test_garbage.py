"""Searches for garbage that wait."""

import gc

import pytest

from fedcli.runtime.garbage import garbage_later


@pytest.fixture(autouse=True)
def restored():
    """Searches are as they were afterwards."""
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_search_waits_in_the_block_and_is_then_as_before(enabled):
    (gc.enable if enabled else gc.disable)()
    with garbage_later():
        assert not gc.isenabled()
        with garbage_later():
            pass
        assert not gc.isenabled()
    assert gc.isenabled() is enabled


def test_an_error_leaves_the_search_as_before():
    gc.enable()
    with pytest.raises(KeyError), garbage_later():
        raise KeyError
    assert gc.isenabled()
