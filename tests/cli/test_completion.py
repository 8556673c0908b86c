"""Completion as shells do it: by the installed scripts, in a terminal where that decides."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal

FEDCLI = Path(sys.executable).with_name("fedcli")


@pytest.fixture
def env(tmp_path):
    """The environment of a user who has nothing set up."""
    return {
        "HOME": str(tmp_path),
        "PATH": f"{FEDCLI.parent}{os.pathsep}{os.environ['PATH']}",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }


def complete(env, *words, shell="bash"):
    """Returns what the command offers for the last word; for bash, words are split as readline splits them."""
    if shell == "bash":
        variables = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        variables = {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [FEDCLI], env=env | variables | {"_FEDCLI_COMPLETE": f"complete_{shell}"}, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.split() if shell == "bash" else done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "dat"], ["dataset="]),
        (["train", "dataset", "=", "em"], ["emnist"]),
        (["train", "dataset", "="], ["digits", "emnist", "imported", "shakespeare"]),
        (["train", "+dataset", "=", "em"], ["emnist"]),
        (["train", "client_optimizer.l"], ["client_optimizer.learning_rate="]),
        (["train", "client_optimizer", "=", "adam", "client_optimizer.w"], []),
        (["train", "client_optimizer", "=", "adamw", "client_optimizer.w"], ["client_optimizer.weight_decay="]),
        (["train", "-m", "aggregator", "=", "mean,comp"], ["mean,compression"]),
        (["train", "ev"], ["eval."]),
        (["train", "eval.m"], ["eval.max_examples="]),
        (["train", "dataset.only_digits", "=", "f"], ["false"]),
        (["train", "seed", "=", "1", "rou"], ["rounds="]),
        (["train", "dataset"], ["dataset=", "dataset."]),
        (["train", "nothing.l"], []),
        (["train", "nothing", "=", "l"], []),
        (["train", "--res"], ["--resume"]),
        (["data", "fetch", "em"], ["emnist"]),
        (["data", "inspect", "sh"], ["shakespeare"]),
        (["data", "inspect", "emnist", "only"], ["only_digits="]),
        (["data", "inspect", "emnist", "dataset.only"], ["dataset.only_digits="]),
        (["data", "inspect", "emnist", "only_digits", "=", "t"], ["true"]),
    ],
)
def test_bash_gets_what_follows_the_last_break(env, words, expected):
    assert complete(env, "fedcli", *words) == expected


def test_other_shells_get_whole_words_with_help(env):
    assert complete(env, "fedcli", "train", "dataset=em", shell="fish") == ["dataset=emnist"]
    (line,) = complete(env, "fedcli", "train", "client_optimizer.mom", shell="fish")
    assert line == "client_optimizer.momentum=\tDecay of the velocity; 0 for plain SGD (now 0.0)"


def test_every_choice_of_every_group_is_found(env):
    conf = Path(__file__).parents[2] / "conf"
    offered = set(complete(env, "fedcli", "train", ""))
    for group in {file.parent for file in conf.glob("*/*.yaml")}:
        assert f"{group.name}=" in offered
        assert {file.stem for file in group.glob("*.yaml")} <= {*complete(env, "fedcli", "train", group.name, "=")}


def test_choices_of_a_further_folder_are_found(env, tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text("name: mine\n# Pages\nbooks: 3\n")
    assert complete(env, "fedcli", "train", "-cd", str(tmp_path), "dataset", "=", "mi") == ["mine"]
    words = ["train", "-cd", str(tmp_path), "dataset", "=", "mine", "dataset."]
    assert complete(env, "fedcli", *words) == ["dataset.books="]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["data", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments):
    assert imported(arguments) == ""


def test_completion_imports_nothing_heavy(env, monkeypatch):
    for name, value in {"COMP_WORDS": "fedcli\ntrain\ndat", "COMP_CWORD": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("_FEDCLI_COMPLETE", "complete_bash")
    assert imported([]) == ""


def imported(arguments):
    heavy = ("tensorflow", "tensorflow_federated", "hydra", "omegaconf", "numpy", "sklearn", "requests", "tensorboard")
    program = f"""
import atexit, os, sys
atexit.register(lambda: os.write(2, " ".join(name for name in {heavy!r} if name in sys.modules).encode()))
from fedcli.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout
    return done.stderr


def test_the_module_is_the_command(env):
    outputs = [
        subprocess.run([*command, "--help"], env=env, capture_output=True, text=True, check=True).stdout
        for command in ([FEDCLI], [sys.executable, "-m", "fedcli"])
    ]
    assert outputs[0] == outputs[1]


# In the terminal `fedcli` is a function that shows its arguments, so that nothing is run; completion asks the
# program, which it finds on PATH.
_SHOW = "PS1='ready> '; fedcli() { printf 'got'; printf '<%s>' \"$@\"; echo; }; echo begin\n"


def typed(terminal, line):
    """Types a line with tabs, and returns the arguments that the command gets."""
    *parts, last = line.split("\t")
    for part in parts:
        terminal.type(f"{part}\t")
    # Not before the last completion is shown: what a tab left pending must not be taken for its answer.
    terminal.type(f"{last}\n")
    return terminal.wait_for(r"got((?:<[^>]*>)+)")[1]


TYPED = [
    ("fedcli train dat\tem\t", "<train><dataset=emnist>"),
    ("fedcli train client_optimizer.l\t0.5", "<train><client_optimizer.learning_rate=0.5>"),
    ("fedcli train -m aggregator=mean,comp\tseed=1,2", "<train><-m><aggregator=mean,compression><seed=1,2>"),
    ("fedcli data fetch sha\t", "<data><fetch><shakespeare>"),
]


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_tab_in_a_bash_with_the_installed_script(env, tmp_path):
    install(env, "bash")
    with Terminal(["bash", "--rcfile", str(tmp_path / ".bashrc"), "-i"], env) as terminal:
        terminal.type(_SHOW)
        terminal.wait_for(r"begin\r?\n")
        for line, expected in TYPED:
            assert typed(terminal, line) == expected


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed (Debian: apt-get install zsh)")
def test_tab_in_a_zsh_with_the_installed_script(env, tmp_path):
    install(env, "zsh")
    with Terminal(["zsh", "-d", "-i"], env) as terminal:
        terminal.type(_SHOW)
        terminal.wait_for(r"begin\r?\n")
        for line, expected in TYPED:
            assert typed(terminal, line) == expected


def install(env, shell):
    # With a command after it: the shell that Typer looks for would otherwise be replaced by fedcli.
    done = subprocess.run(
        [shell, "-c", "fedcli --install-completion; exit $?"], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"{shell} completion installed" in done.stdout
