import importlib.metadata
import subprocess
from pathlib import Path

import pytest

import fedcli
from fedcli.runs import environment


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.check_output(["git", *identity, *arguments], cwd=folder, text=True)


def test_versions_are_those_installed() -> None:
    versions = environment.versions()
    assert list(versions) == ["fedcli", "python", "tensorflow", "tensorflow_federated", "numpy"]
    assert versions["fedcli"] == fedcli.__version__
    assert versions["numpy"] == importlib.metadata.version("numpy")


def test_missing_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert environment.versions()["tensorflow_federated"] is None


def test_git_state(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert environment.git_state(tmp_path) is None  # no commit yet
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "run.json").touch()  # untracked
    assert environment.git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "code.py").write_text("2")
    assert environment.git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.git_state(tmp_path) is None


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_state() is None


def test_git_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("git", timeout)

    monkeypatch.setattr(subprocess, "run", run)
    assert environment.git_state() is None


def test_host() -> None:
    host = environment.host()
    assert list(host) == ["hostname", "platform", "cpus", "memory_bytes"]
    assert host["cpus"] >= 1
    assert host["memory_bytes"] > 2**20
