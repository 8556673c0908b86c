"""Environments of the peers, made with uv outside of the project, each once."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: What each peer's environment holds, pinned. What these need is resolved as of `_DATE`.
REQUIREMENTS: dict[str, Sequence[str]] = {
    # The default index has PyTorch for Linux with CUDA only; it runs on the CPU just the same.
    "flower": ("flwr[simulation]==1.41.0", "torch==2.15.0"),
    # The last release of jax that FedJAX 0.0.17 runs on, and the Haiku of that time.
    "fedjax": ("fedjax==0.0.17", "jax==0.4.30", "jaxlib==0.4.30", "dm-haiku==0.0.13", "numpy<2"),
    "pfl": ("pfl[pytorch]==0.6.0", "torch==2.15.0"),
}
_DATE = "2026-11-15T00:00:00Z"
_PYTHON = "3.11"
#: Seconds an installation may take.
_PATIENCE = 1800


class NotInstalled(Exception):
    """A peer cannot be installed here; the message says why."""


def python(peer: str, folder: Path) -> Path:
    """Returns the interpreter of a peer's environment, which is made where it is missing.

    Args:
        peer: A key of `REQUIREMENTS`.
        folder: Where environments are kept.

    Raises:
        NotInstalled: It cannot be made.
    """
    requirements = REQUIREMENTS[peer]
    name = hashlib.sha256(repr((requirements, _DATE, _PYTHON)).encode()).hexdigest()[:12]
    environment = folder / f"{peer}-{name}"
    interpreter = environment / "bin" / "python"
    complete = environment / "complete"
    if not complete.exists():
        shutil.rmtree(environment, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        _run(["uv", "venv", "--quiet", "--python", _PYTHON, str(environment)], folder)
        # With bytecode, as fedcli's own environment has it: start-up is compared.
        install = ["uv", "pip", "install", "--compile-bytecode", "--exclude-newer", _DATE]
        _run([*install, "--python", str(interpreter), *requirements], folder)
        complete.touch()
    return interpreter


def _run(command: Sequence[str], folder: Path) -> None:
    # From outside of the project, whose settings are not for these.
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{command[0]} did not run: {type(error).__name__}") from error
    if done.returncode:
        raise NotInstalled(f"it does not install: {reason(done.stderr)}")


def reason(output: str) -> str:
    """Shortens what uv says to one line without addresses: results are published."""
    lines = [line.strip(" \u00d7╰─▶│├") for line in output.splitlines() if line.strip()]
    return re.sub(r"\b\w+://\S+", "(address)", " ".join(lines[-3:]))[:300]
