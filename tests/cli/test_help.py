"""--help, --version and --cfg: complete, and quick because they import nothing heavy."""

import subprocess
import sys

import pytest
import yaml

from fedcli import __version__
from fedcli.components.groups import groups
from fedcli.keys.location import choices
from tests.conftest import clean_environment

HEAVY = ("tensorflow", "tensorflow_federated", "keras", "jax", "sklearn", "numpy", "hydra", "omegaconf")

LOADED = """
import sys
from fedcli.cli.main import main
try:
    main()
finally:
    print(*(name for name in sys.argv[0].split() if name in sys.modules), file=sys.stderr)
"""


def modules_loaded(*arguments, of=HEAVY):
    """Returns which modules a command has imported when it ends, and what it printed."""
    code = LOADED.replace("sys.argv[0]", repr(" ".join(of)))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.split(), done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["train", "--help"]], ids=" ".join)
def test_imports_nothing_heavy(arguments):
    loaded, printed = modules_loaded(*arguments)
    assert loaded == []
    assert printed


def test_cfg_imports_no_tensorflow():
    loaded, printed = modules_loaded("train", "--cfg", "job")
    assert "hydra" in loaded  # the check works
    assert not {"tensorflow", "tensorflow_federated", "keras", "jax", "sklearn"} & set(loaded)
    assert printed


def test_version(run_cli):
    done = run_cli("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fedcli {__version__}\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_commands(run_cli, flag):
    done = run_cli(flag)
    assert done.returncode == 0
    for command in ("train", "data", "doctor"):
        assert f" {command} " in done.stdout
    assert "Usage: fedcli " in done.stdout


def test_no_arguments_show_the_help(run_cli):
    done = run_cli()
    assert done.returncode == 2
    assert "Usage: fedcli " in done.stdout + done.stderr
    assert "error" not in done.stderr


def test_train_help_lists_groups_and_choices(run_cli):
    done = run_cli("train", "--help", env={"COLUMNS": "120"})
    assert done.returncode == 0
    text = " ".join(done.stdout.split())  # long lists of choices are wrapped
    assert set(groups()) < set(choices())
    for group, names in choices().items():
        assert f"{group} {', '.join(names)}" in text
    for option in (
        "--multirun",
        "--fail-fast",
        "--resume",
        "--cfg",
        "--config-dir",
        "--json",
        "--quiet",
        "--verbose",
        "--debug",
    ):
        assert option in done.stdout


def test_cfg_job_is_the_whole_config_as_yaml(run_cli, tmp_path):
    done = run_cli("train", "rounds=3", "--cfg", "job", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    config = yaml.safe_load(done.stdout)
    assert {group: config[group]["name"] for group in groups()} == {
        "dataset": "digits",
        "partition": "natural",
        "model": "cnn",
        "algorithm": "fed_avg",
        "client_optimizer": "sgd",
        "server_optimizer": "sgd",
        "client_schedule": "constant",
        "server_schedule": "constant",
        "aggregator": "mean",
        "distributor": "broadcast",
        "attack": "none",
        "runtime": "local",
        "logger": "tensorboard",
    }
    assert config["rounds"] == 3
    assert config["client_optimizer"]["learning_rate"] == 0.1
    assert "hydra" not in config
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("view", ["hydra", "all"])
def test_cfg_shows_hydra_s_part_too(run_cli, tmp_path, view):
    done = run_cli("train", "--cfg", view, cwd=tmp_path)
    assert done.returncode == 0
    config = yaml.safe_load(done.stdout)
    assert config["hydra"]["job"]["name"] == "train"
    assert ("rounds" in config) == (view == "all")
    assert list(tmp_path.iterdir()) == []
