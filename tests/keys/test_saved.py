"""A run's config.yaml from somebody else."""

import os

import pytest

from fedcli.keys.saved import read_saved
from fedcli.report.yaml_files import read_config
from tests.keys.test_yaml_bounds import BOMB


def test_a_config_is_read(tmp_path):
    (tmp_path / "config.yaml").write_text("rounds: 3\nmodel: {name: mlp}\n")
    assert read_saved(tmp_path / "config.yaml") == {"rounds": 3, "model": {"name": "mlp"}}
    assert read_config(tmp_path / "config.yaml") == {"rounds": 3, "model.name": "mlp"}


@pytest.mark.parametrize("read", [read_saved, read_config])
def test_aliases_of_aliases_a_pipe_and_a_device_are_refused(tmp_path, read):
    (tmp_path / "bomb.yaml").write_text(BOMB)
    with pytest.raises(ValueError, match="its aliases stand for more than"):
        read(tmp_path / "bomb.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "link.yaml"):
        with pytest.raises(OSError, match="not a regular file"):
            read(tmp_path / name)


def test_a_config_is_read_as_it_stands(tmp_path):
    (tmp_path / "config.yaml").write_text("rounds: 3\nmodel: {name: mlp, hidden_units: [8, 9]}\noutput_dir: $HOME\n")
    found = read_saved(tmp_path / "config.yaml")
    assert found == {"rounds": 3, "model": {"name": "mlp", "hidden_units": [8, 9]}, "output_dir": "$HOME"}


@pytest.mark.parametrize(
    "yaml", ["a: ${oc.env:SECRET}", "a: {b: [1, 'x${oc.env:SECRET}']}", "a: '${b}'\nb: 1", "a: ${oc.create:{}}"]
)
def test_an_interpolation_is_refused_and_not_resolved(tmp_path, monkeypatch, yaml):
    monkeypatch.setenv("SECRET", "swordfish")
    (tmp_path / "config.yaml").write_text(yaml)
    with pytest.raises(ValueError, match=r"^a(\.b)? holds an interpolation") as caught:
        read_saved(tmp_path / "config.yaml")
    assert "swordfish" not in str(caught.value)


def test_what_is_no_config_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match="not a config"):
        read_saved(tmp_path / "config.yaml")
