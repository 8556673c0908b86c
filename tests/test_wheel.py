"""The installed wheel works from any folder: it carries its own conf/, and needs no TensorFlow to say what it does."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from fedcli import __version__
from fedcli.components.groups import groups
from fedcli.keys.location import choices, config_folder
from tests.conftest import clean_environment

ROOT = Path(__file__).parents[1]

#: `uv run` says where uv is.
UV = os.environ.get("UV") or shutil.which("uv")

#: What the command line imports before anything slow starts; the rest of the dependencies is left out.
LIGHT = ["filelock", "hydra-core", "numpy<2", "requests", "rich", "typer"]


def step(*command, cwd):
    """Runs one step of the build; skips the tests if it needed a package index that is out of reach."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        network = ("Failed to fetch", "error sending request", "No matching distribution", "connect", "timed out")
        if "No module named pip" in done.stderr:
            pytest.skip("neither uv nor pip is here to build the wheel")
        if any(reason in done.stderr for reason in network):
            pytest.skip(f"the package index is out of reach: {done.stderr.strip()[-300:]}")
        pytest.fail(f"{' '.join(map(str, command))}: {done.stderr}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built by uv, or where it is missing by pip."""
    folder = tmp_path_factory.mktemp("wheel")
    if UV:
        step(UV, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT, cwd=folder)
    else:
        step(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The fedcli command of a fresh environment with the wheel and the light dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin" / "python"
    if UV:
        step(UV, "venv", "--quiet", "--python", sys.executable, folder, cwd=folder)
        install = [UV, "pip", "install", "--quiet", "--python", python]
    else:
        step(sys.executable, "-m", "venv", folder, cwd=folder)
        install = [python, "-m", "pip", "install", "--quiet"]
    step(*install, *LIGHT, cwd=folder)
    step(*install, "--no-deps", wheel, cwd=folder)
    return folder / "bin" / "fedcli"


@pytest.fixture
def run(installed, tmp_path):
    """Runs the installed command in another folder."""

    def run(*arguments):
        return subprocess.run(
            [str(installed), *arguments],
            cwd=tmp_path,
            env={**clean_environment(COLUMNS="120"), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_conf_is_inside(wheel):
    files = zipfile.ZipFile(wheel).namelist()
    here = {path.relative_to(config_folder()).as_posix() for path in config_folder().rglob("*.yaml")}
    assert {name.removeprefix("fedcli/conf/") for name in files if name.endswith(".yaml")} == here
    assert f"fedcli-{__version__}.dist-info/entry_points.txt" in files
    assert not [name for name in files if name.startswith(("tests/", "outputs/", "conf/"))]


def test_version(run):
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fedcli {__version__}\n", "")


def test_help(run):
    done = run("--help")
    assert done.returncode == 0, done.stderr
    assert " train " in done.stdout


def test_train_help_lists_the_choices(run):
    done = run("train", "--help")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())  # long lists of choices are wrapped
    for group, names in choices().items():
        assert f"{group} {', '.join(names)}" in text


def test_cfg_job(run, tmp_path):
    done = run("train", "aggregator=compression", "--cfg", "job")
    assert (done.returncode, done.stderr) == (0, "")
    config = yaml.safe_load(done.stdout)
    assert config["aggregator"]["name"] == "compression"
    assert config.keys() > groups().keys()
    assert list(tmp_path.iterdir()) == []


def test_mistake(run):
    done = run("train", "dataset=emnits")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: dataset=emnits: no such dataset"
