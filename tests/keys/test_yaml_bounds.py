import os

import pytest
import yaml

from fedcli.errors import ConfigError
from fedcli.keys.yaml_bounds import check_yaml_file, check_yaml_folders, yaml_problem

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "its aliases stand for more than 100,000 values"),
        ("a: &a {b: &b [1, *a]}", "the alias *a stands for what holds it, or for nothing"),
        ("a: &a 1\nb: *c", "the alias *c stands for what holds it, or for nothing"),
    ],
)
def test_aliases_that_stand_for_too_much_are_refused(text, problem):
    assert yaml_problem(text.encode()) == problem


@pytest.mark.parametrize(
    "text",
    [
        "a: &a 1\nb: *a\n",
        "base: &base {lr: 0.1, steps: [1, 2]}\nmine: {<<: *base, lr: 0.2}\n",
        "text: 'R&D * 2'\n",
        "a: &a [1\nb: *a",  # no YAML: its parser says so
        "\x00&*",
        "",
    ],
)
def test_others_are_not(text):
    assert yaml_problem(text.encode()) == ""


def test_what_is_let_through_is_small_when_it_is_copied():
    text = "a: &a [1, 2]\n" + "b:\n" + "- *a\n" * 30_000
    assert yaml_problem(text.encode()) == ""
    assert len(yaml.safe_load(text)["b"]) == 30_000
    assert yaml_problem((text + "c:\n" + "- *a\n" * 10_000).encode()) != ""


def test_files_that_no_config_can_be_are_refused(tmp_path):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("rounds: 3\n")
    check_yaml_folders([tmp_path / "conf"])
    (folder / "bomb.yaml").write_text(BOMB)
    with pytest.raises(ConfigError, match=r"bomb.yaml cannot be read: its aliases"):
        check_yaml_folders([tmp_path / "conf"])
    (folder / "bomb.yaml").unlink()
    os.mkfifo(folder / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"pipe.yaml cannot be read: not a regular file"):
        check_yaml_folders([tmp_path / "conf"])
    (folder / "pipe.yaml").unlink()
    (folder / "large.yaml").write_text("#" * 2**20 + "\n")
    with pytest.raises(ConfigError, match=r"large.yaml cannot be read: more than 1,048,576 bytes") as caught:
        check_yaml_file(folder / "large.yaml")
    assert caught.value.hint
