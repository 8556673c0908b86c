from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.environments import REQUIREMENTS, NotInstalled, python, reason


def test_every_peer_is_pinned() -> None:
    for requirements in REQUIREMENTS.values():
        assert "==" in requirements[0]


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []

    def run(command: list[str], folder: Path) -> None:
        commands.append(command[1])
        if command[1] == "venv":
            Path(command[-1]).mkdir(parents=True)

    monkeypatch.setattr(environments, "_run", run)
    first = python("pfl", tmp_path)
    assert python("pfl", tmp_path) == first
    assert commands == ["venv", "pip"]


def test_one_that_was_not_finished_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], folder: Path) -> None:
        if command[1] == "pip":
            raise NotInstalled("no such package")
        (Path(command[-1]) / "half").mkdir(parents=True)

    monkeypatch.setattr(environments, "_run", run)
    for _ in range(2):
        with pytest.raises(NotInstalled, match="no such package"):
            python("fedjax", tmp_path)


def test_without_uv_peers_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="uv did not run"):
        python("pfl", tmp_path / "environments")


def test_reasons_hold_no_address() -> None:
    output = (
        "Resolved\n  \u00d7 Failed to fetch: `https://index.example/simple/torch/`\n  ╰─▶ no route to file:///opt/x/\n"
    )
    said = reason(output)
    assert "index.example" not in said
    assert "/opt/x" not in said
    assert said == "Resolved Failed to fetch: `(address) no route to (address)"
