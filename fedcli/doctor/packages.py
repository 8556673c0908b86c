"""The machine, the interpreter and the installed packages."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib import metadata
from pathlib import Path

from fedcli.doctor.check import Check
from fedcli.shell import command_line

#: Packages whose versions decide what a run does, and are shown.
SHOWN = ("fedcli", "tensorflow", "tensorflow-federated", "hydra-core", "typer", "tensorboard")

_REINSTALL = "reinstall fedcli with its dependencies, as its README says"


def check_platform() -> Check:
    """Checks the machine: TFF's wheel is built for Linux on x86-64 only."""
    found = f"{platform.system()} {platform.machine()}"
    if found == "Linux x86_64":
        return Check("platform", "passed", f"{found}, {platform.release()}")
    return Check(
        "platform", "failed", found, "TensorFlow Federated needs Linux on x86-64: use such a machine or container"
    )


def check_python() -> Check:
    """Checks the interpreter."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] == (3, 11):
        return Check("python", "passed", found)
    return Check(
        "python", "failed", found, "fedcli needs Python 3.11: make an environment with it and install fedcli there"
    )


def check_packages() -> Check:
    """Checks that every package that fedcli requires is installed in a version that it allows."""
    from packaging.requirements import Requirement

    missing, others = [], []
    for line in metadata.requires("fedcli") or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        if version is None:
            missing.append(requirement.name)
        elif not requirement.specifier.contains(version, prereleases=True):
            others.append(f"{requirement.name} {version} (needs {requirement.specifier})")
    if missing:
        return Check("packages", "failed", f"not installed: {', '.join(missing)}", _REINSTALL)
    if others:
        return Check("packages", "warning", f"not tested with: {', '.join(others)}", _REINSTALL)
    return Check("packages", "passed", ", ".join(f"{name} {_version(name)}" for name in SHOWN))


def check_bytecode() -> Check:
    """Checks that TensorFlow and TFF are compiled to bytecode; without it, they take twice as long to import."""
    folders = []
    for package in ("tensorflow", "tensorflow_federated"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            return Check("bytecode", "warning", f"{package} is not installed: nothing to look at", _REINSTALL)
        if not Path(importlib.util.cache_from_source(spec.origin)).is_file():
            folders.append(Path(spec.origin).parent)
    if not folders:
        return Check("bytecode", "passed", "TensorFlow and TensorFlow Federated are compiled")
    return Check(
        "bytecode",
        "warning",
        f"not compiled: {', '.join(folder.name for folder in folders)}; each start takes seconds longer",
        command_line(sys.executable, "-m", "compileall", "-q", folders[0].parent),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
