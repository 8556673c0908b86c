import dataclasses
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fedcli.runtime.engine.round_cache as module
from fedcli.aggregators.mean import Mean
from fedcli.aggregators.sparsify import Sparsify
from fedcli.models.mlp import MLP
from fedcli.runtime.engine.round_cache import RoundCache, round_key
from fedcli.runtime.local import LocalRuntime
from tests.runtime.conftest import SPEC

KEY = "a" * 64


@pytest.fixture
def cache(tmp_path):
    return RoundCache(tmp_path / "compiled")


@pytest.fixture(scope="module")
def entry(compiled, tmp_path_factory):
    cache = RoundCache(tmp_path_factory.mktemp("cache"))
    cache.store(KEY, compiled())
    return (cache.folder / f"{KEY}.zip").read_bytes()


def plain(compiled):
    parts = {
        name: (p.graph.SerializeToString(deterministic=True), *dataclasses.astuple(p)[1:])
        for name, p in compiled.parts.items()
    }
    return parts, compiled.state, compiled.metrics, compiled.batch, compiled.communication


def test_an_entry_comes_back_whole(compiled, cache):
    cache.store(KEY, compiled())
    loaded = cache.load(KEY)
    assert plain(loaded) == plain(compiled())
    assert loaded.source is None


def test_a_cached_round_computes_the_same(compiled, play, cache):
    cache.store(KEY, compiled())
    results = []
    for program in (compiled(), cache.load(KEY)):
        with LocalRuntime(1, 2) as runtime:
            results.append(play(runtime, program, MLP(hidden_units=(8,)), rounds=2, clients=3))
    assert results[0][1] == results[1][1]
    assert all((a == b).all() for a, b in zip(results[0][0], results[1][0], strict=True))


def test_there_is_nothing_at_first(cache):
    assert cache.load(KEY) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_entry_is_not_used(entry, tmp_path, compiled, data):
    place = data.draw(st.integers(0, len(entry) - 1))
    damaged = data.draw(
        st.sampled_from([entry[:place], entry[:place] + bytes([entry[place] ^ 0x55]) + entry[place + 1 :]])
    )
    (tmp_path / f"{KEY}.zip").write_bytes(damaged)
    loaded = RoundCache(tmp_path).load(KEY)
    # A zip file has bytes that mean nothing: what is read in spite of them is what was written.
    assert loaded is None or plain(loaded) == plain(compiled())


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x05\x06" + 18 * b"\x00"])
def test_a_foreign_file_is_not_used(cache, content):
    cache.folder.mkdir()
    (cache.folder / f"{KEY}.zip").write_bytes(content)
    assert cache.load(KEY) is None


def test_another_rounds_entry_is_not_used(cache, entry):
    cache.folder.mkdir()
    (cache.folder / f"{'b' * 64}.zip").write_bytes(entry)
    assert cache.load("b" * 64) is None


def test_a_damaged_entry_is_written_anew(compiled, cache):
    cache.store(KEY, compiled())
    (cache.folder / f"{KEY}.zip").write_bytes(b"damaged")
    cache.store(KEY, compiled())
    assert cache.load(KEY) is not None


def test_a_folder_that_cannot_be_written_is_no_error(compiled, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    RoundCache(tmp_path / "file" / "compiled").store(KEY, compiled())
    assert "cannot be kept" in caplog.text


def test_the_least_used_entries_go(compiled, cache, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST_COUNT", 2)
    for number, key in enumerate(("a", "b")):
        cache.store(key, compiled())
        os.utime(cache.folder / f"{key}.zip", (number + 1, number + 1))
    assert cache.load("a") is not None  # used now
    cache.store("c", compiled())
    assert {path.stem for path in cache.folder.iterdir()} == {"a", "c"}


def test_entries_take_a_bounded_space(compiled, cache, monkeypatch, entry):
    monkeypatch.setattr(module, "_LARGEST_BYTES", int(1.5 * len(entry)))
    cache.store("a", compiled())
    os.utime(cache.folder / "a.zip", (1, 1))
    cache.store("b", compiled())
    assert {path.stem for path in cache.folder.iterdir()} == {"b"}


def test_every_part_of_a_round_is_in_its_key():
    parts = [MLP(), SPEC, Mean()]
    others = [MLP(hidden_units=(3,)), dataclasses.replace(SPEC, num_classes=7), Sparsify()]
    assert round_key(parts) == round_key([MLP(), SPEC, Mean()])
    for place, other in enumerate(others):
        assert round_key([*parts[:place], other, *parts[place + 1 :]]) != round_key(parts)
    assert round_key([Sparsify(fraction=0.1)]) != round_key([Sparsify(fraction=0.2)])


def test_source_and_versions_are_in_the_key(monkeypatch, tmp_path):
    before = round_key([Mean()])
    file = tmp_path / "one.py"
    file.write_text("a = 1")
    monkeypatch.setattr(module, "_own_source", lambda: [file])
    one = round_key([Mean()])
    file.write_text("a = 2")
    two = round_key([Mean()])
    monkeypatch.setattr(module, "version", lambda name: "0")
    assert len({before, one, two, round_key([Mean()])}) == 4


def test_own_source_is_what_builds_graphs():
    names = {path.name for path in module._own_source()}
    assert {"fed_avg.py", "sum_factory.py", "elias.py", "learning_model.py", "randomness.py", "cnn.py"} <= names
    assert all(isinstance(path, Path) and path.is_file() for path in module._own_source())


def test_a_third_partys_source_is_in_the_key(monkeypatch, tmp_path):
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "median.py").write_text("class Median:\n    def __repr__(self):\n        return 'Median()'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from theirs.median import Median

    key = module.round_key([Median()])
    assert module.round_key([Median()]) == key
    (package / "median.py").write_text("class Median: kind = 2\n")
    assert module.round_key([Median()]) != key
