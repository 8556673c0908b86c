import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fedcli.errors import RunDirectoryError
from fedcli.runs.checkpoints import CheckpointStore

Tensors = list[tuple[str, NDArray[Any]]]

STATE: Tensors = [
    ("global_model_weights/trainable/1", np.arange(6, dtype=np.float32).reshape(2, 3)),
    ("global_model_weights/trainable/0", np.float32(0.5) * np.ones(4, np.float32)),
    ("round", np.array(7, np.int64)),
]


def assert_same(one: Tensors, two: Tensors) -> None:
    assert [name for name, _ in one] == [name for name, _ in two]
    for (_, a), (_, b) in zip(one, two, strict=True):
        assert isinstance(b, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()  # to the bit, NaN and -0.0 included


def fill(store: CheckpointStore, *rounds: int) -> None:
    for round in rounds:
        store.save(round, STATE, {})


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"\x93NUMPY") + 140] ^= 1  # within the first array
    path.write_bytes(data)


def test_round_trip_keeps_the_order(tmp_path: Path) -> None:
    meta = {"seed": 1, "clients": ["f0", "f1"], "bits": 2**60, "nested": {"a": None}}
    store = CheckpointStore(tmp_path / "checkpoints")
    assert store.save(20, STATE, meta) == tmp_path / "checkpoints" / "round_000020.npz"
    checkpoint = store.latest()
    assert checkpoint is not None
    assert checkpoint.round == 20
    assert checkpoint.meta == meta
    assert_same(STATE, checkpoint.tensors)
    assert checkpoint.tensors[0][1].flags.writeable


def test_numpy_reads_the_file_too(tmp_path: Path) -> None:
    path = CheckpointStore(tmp_path).save(1, STATE, {})
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["000000"], STATE[0][1])


def test_equal_states_give_equal_files(tmp_path: Path) -> None:
    one = CheckpointStore(tmp_path / "a").save(1, STATE, {"seed": 1})
    two = CheckpointStore(tmp_path / "b").save(1, STATE, {"seed": 1})
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    "array",
    [
        np.array(True),
        np.zeros((0, 3), np.uint8),
        np.array(-0.0, np.float64),
        np.array([np.nan, np.inf], np.float16),
        np.array([1.5, -2.0, np.nan], ml_dtypes.bfloat16),
        np.array(1.5, ml_dtypes.bfloat16),
        np.array([b"to", b"be or", b""]),
        np.array(b"\x00\xff\x01"),
        np.array(["größe", ""]),
        np.array([1 + 2j], np.complex64),
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10.0)[::-2],
        np.arange(8, dtype=np.float32).astype(ml_dtypes.bfloat16).reshape(2, 4)[:, ::2],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_every_kind_of_array(tmp_path: Path, array: NDArray[Any]) -> None:
    store = CheckpointStore(tmp_path)
    store.save(1, [("x", array)], {})
    assert_same([("x", array)], store.load(1).tensors)


dtypes = st.sampled_from(["bool", "int8", "int32", "int64", "uint8", "uint64", "<f2", "<f4", "<f8", ">f4", "S3"])
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
names = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(names, arrays), unique_by=lambda item: item[0], max_size=5))
def test_any_names_and_arrays(tmp_path_factory: pytest.TempPathFactory, tensors: Tensors) -> None:
    store = CheckpointStore(tmp_path_factory.mktemp("checkpoints"))
    store.save(3, tensors, {})
    assert_same(tensors, store.load(3).tensors)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_what_would_need_pickle_is_refused(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    structured = np.zeros(1, [("a", "i4")])
    for array in (np.array([Evil()]), np.array([b"ab", None]), structured, np.array(["2026"], "M8[Y]")):
        with pytest.raises(TypeError, match="tensor 'x'"):
            store.save(1, [("x", array)], {})
    assert store.rounds() == []


def test_names_twice_and_meta_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    with pytest.raises(ValueError, match="not unique"):
        store.save(1, [STATE[0], STATE[0]], {})
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.save(1, STATE, {"x": object()})
    assert list(tmp_path.iterdir()) == []


def test_pickles_in_a_file_are_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = CheckpointStore(tmp_path)
    path = store.save(1, [("x", np.zeros(1))], {})
    with zipfile.ZipFile(path) as archive:
        manifest = archive.read("manifest.json")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Evil()]), allow_pickle=True)
    for content in (buffer.getvalue(), pickle.dumps(Evil())):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("manifest.json", manifest)
            archive.writestr("000000.npy", content)
        with pytest.raises(RunDirectoryError, match="is damaged"):
            store.load(1)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(RunDirectoryError, match="is damaged"):
        store.load(1)
    assert not (tmp_path / "executed").exists()


def test_compressed_files_are_refused(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    with zipfile.ZipFile(store.path(1), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}")
    with pytest.raises(RunDirectoryError, match="not written by fedcli"):
        store.load(1)


def test_keeps_the_newest(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    fill(store, 0, 20, 40, 60)
    assert store.rounds() == [40, 60]
    fill(CheckpointStore(tmp_path, keep=1), 80)
    assert store.rounds() == [80]
    with pytest.raises(ValueError, match="at least 1"):
        CheckpointStore(tmp_path, keep=0)


def test_rounds_beyond_6_digits(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    fill(store, 999_999, 1_000_000)
    assert store.rounds() == [999_999, 1_000_000]


def test_saving_an_earlier_round_gives_later_ones_up(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    fill(store, 20, 40, 60)
    fill(store, 50)
    assert store.rounds() == [40, 50]


def test_latest(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "none", keep=5)
    assert store.latest() is None
    fill(store, 20, 40, 60)
    for max_round, expected in ((None, 60), (60, 60), (59, 40), (20, 20)):
        checkpoint = store.latest(max_round)
        assert checkpoint is not None
        assert checkpoint.round == expected
    assert store.latest(19) is None


def test_damaged_checkpoints_are_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = CheckpointStore(tmp_path, keep=5)
    fill(store, 20, 40, 60)
    damage(store.path(60))
    store.path(40).write_bytes(b"")
    checkpoint = store.latest()
    assert checkpoint is not None
    assert checkpoint.round == 20
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "round_000060.npz is damaged" in caplog.text
    assert "round_000040.npz is damaged" in caplog.text
    damage(store.path(20))
    with pytest.raises(RunDirectoryError, match="none of the 3 checkpoints can be read"):
        store.latest()


def test_a_renamed_checkpoint_is_damaged(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(1, STATE, {}).rename(store.path(2))
    with pytest.raises(RunDirectoryError, match="it holds round 1"):
        store.load(2)
    with pytest.raises(RunDirectoryError, match="No such file"):
        store.load(1)


def test_truncation_at_any_byte_is_found(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    path = store.save(1, STATE, {"seed": 1})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(RunDirectoryError, match="is damaged"):
            store.load(1)


@settings(deadline=None, max_examples=300)
@given(position=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_changed_bytes_never_give_wrong_data(
    tmp_path_factory: pytest.TempPathFactory, position: int, mask: int
) -> None:
    store = CheckpointStore(tmp_path_factory.getbasetemp() / "changed")
    path = store.save(1, STATE, {"seed": 1})
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= mask
    path.write_bytes(data)
    with contextlib.suppress(RunDirectoryError):
        checkpoint = store.load(1)
        assert_same(STATE, checkpoint.tensors)
        assert checkpoint.meta == {"seed": 1}


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "round_1.npz").touch()
    (tmp_path / "notes.txt").touch()
    store = CheckpointStore(tmp_path, keep=1)
    fill(store, 1, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"round_1.npz", "notes.txt", "round_000002.npz"}
