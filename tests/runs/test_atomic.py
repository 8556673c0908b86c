import errno
import json
import os
from pathlib import Path

import pytest

from fedcli.errors import RunDirectoryError
from fedcli.runs import atomic
from fedcli.runs.process import Process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    atomic.write_text(path, "old")
    atomic.write_bytes(path, b"new \xff")
    assert path.read_bytes() == b"new \xff"
    assert names(tmp_path) == ["run.json"]


def test_file_has_the_rights_that_the_umask_gives(tmp_path: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    atomic.write_text(tmp_path / "a", "")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "result.json"
    atomic.write_text(path, "old")

    def write_half() -> None:
        with atomic.atomic_file(path) as file:
            file.write(b"half of the new")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["result.json"]


def test_temporary_path_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic.atomic_path(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path
        temporary.write_text("weights")
        assert not (tmp_path / "model.keras").exists()
    assert (tmp_path / "model.keras").read_text() == "weights"


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (errno.ENOSPC, "No space left on device", "free space"),
        (errno.EDQUOT, "Disk quota exceeded", "quota"),
        (errno.EACCES, "Permission denied", "output_dir=PATH"),
        (errno.EROFS, "Read-only file system", "output_dir=PATH"),
        (errno.EIO, "Input/output error", "output_dir=PATH"),
    ],
)
def test_storage_errors_are_for_people(code: int, reason: str, hint: str) -> None:
    with pytest.raises(RunDirectoryError) as caught, atomic.storage_errors("outputs/x/metrics.csv"):
        raise OSError(code, os.strerror(code))
    assert caught.value.message == f"cannot write outputs/x/metrics.csv: {reason}"
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="gone/a: No such file"):
        atomic.write_text(tmp_path / "gone" / "a", "")


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert names(tmp_path) == []


def test_json_keeps_arguments_that_are_not_utf8(tmp_path: Path) -> None:
    argument = os.fsdecode(b"caf\xe9")
    atomic.write_json(tmp_path / "a.json", {"argv": [argument, "é"]})
    assert atomic.read_json(tmp_path / "a.json") == {"argv": [argument, "é"]}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_damaged_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"a\.json is damaged"):
        atomic.read_json(path)


def test_json_truncated_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    document = {"status": "running", "seed": 12, "argv": ["é\n"], "none": None}
    atomic.write_json(path, document)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if size == len(whole) - 1:  # only the line end is missing
            assert atomic.read_json(path) == json.loads(whole)
        else:
            with pytest.raises(RunDirectoryError):
                atomic.read_json(path)


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current = Process.current()
    writers = {
        "living": current,
        "dead": Process(2**22 + 1, 5, current.boot_id, current.hostname),
        "same_id_used_again": Process(current.pid, current.start_ticks - 1, current.boot_id, current.hostname),
        "before_reboot": Process(current.pid, current.start_ticks, "other", current.hostname),
        "elsewhere": Process(2**22 + 1, 5, current.boot_id, "another-machine"),
    }
    for name, writer in writers.items():
        monkeypatch.setattr(Process, "current", lambda writer=writer: writer)
        (tmp_path / f"{atomic._temporary_prefix()}{name}").touch()
    monkeypatch.setattr(Process, "current", lambda: current)
    (tmp_path / ".tmp~something else").touch()
    (tmp_path / "metrics.csv").touch()
    atomic.remove_leftovers(tmp_path)
    left = {name.split("~")[-1] for name in names(tmp_path)}
    assert left == {"living", "elsewhere", "something else", "metrics.csv"}
