"""The README's commands, as printed but for the size of the work."""

import gc
import os
import re
import shlex
import warnings
from pathlib import Path

import pytest

from tests.conftest import shared

README = Path(__file__).parents[1] / "README.md"
#: Added to commands that train, so that the whole README takes minutes.
SMALL = ["eval.max_examples=20", "clients_per_round=2", "dataset.max_batches_per_client=1"]
#: One hidden layer, as small as compression takes.
MLP = ["model=mlp", "model.hidden_units=[30]"]


def commands():
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


VARIABLES = re.compile(r"(\w+=\S+ )*(?=fedcli )")
FEDCLI = [command for command in commands() if VARIABLES.match(command)]
OTHER = [command for command in commands() if command not in FEDCLI]


def test_finds_the_commands():
    assert len(FEDCLI) >= 17
    assert OTHER == [
        "pip install uv && uv run fedcli train",
        "uv run fedcli doctor",  # tests/cli/test_doctor.py
        "uv run fedcli --install-completion",  # tests/cli/test_completion.py
        "uv run ruff format --check && uv run ruff check && uv run mypy",
        "uv run lint-imports",
        "uv run pytest",
    ]


def test_ci_runs_the_contributors_commands():
    ci = (README.parent / ".ci" / "run").read_text()
    for command in OTHER[3:]:
        for part in command.split(" && "):
            # The tests have a shell of their own, to which .ci/run's own arguments go.
            assert re.search(rf"""(^|'){re.escape(part)}($| "\$@";)""", ci, re.MULTILINE), part


@pytest.fixture
def small_run(invoke):
    result = invoke("train", *MLP, "rounds=1", *SMALL)
    return result.stderr.split("run:")[1].split()[0]


@pytest.fixture
def tiny_text_model(tmp_path):
    from fedcli.datasets.base import DataSpec
    from fedcli.models.char_rnn import CharRNN

    spec = DataSpec("text", (100,), "int32", (100,), 86, 715)
    CharRNN(embedding_dim=4, units=8).export(spec).save(tmp_path / "tiny.keras")
    return "tiny.keras"


# Their environment is set below, and so the same command needs no second run.
@pytest.mark.parametrize("command", dict.fromkeys(VARIABLES.sub("", command) for command in FEDCLI))
def test_command(command, invoke, monkeypatch, request):
    words = shlex.split(command)[1:]
    origin = None
    if any(name in command for name in ("emnist", "shakespeare", "data fetch", "dickens")):
        home = Path.home() / "readme"
        home.mkdir(exist_ok=True)
        monkeypatch.setenv("HOME", str(home))
        # Only the larger mirror has the Dickens model.
        origin = shared("mirror" if "dickens" in command else "mirror_small").resolve().as_uri()
    invoke_environment(monkeypatch, FEDCLI_ORIGIN=origin)
    if words[0] == "compare":
        simulated = ["sampling.simulate=true"] if "simulated_seconds" in words else []
        invoke("train", "-m", *MLP, *SMALL, "rounds=1", "seed=1,2", "hydra.sweep.dir=outputs/sweep", *simulated)
        words = [word for word in words if not word.startswith("eval/accuracy=") and word != "--target"]
        words = ["outputs/sweep" if word.startswith("outputs/") else word for word in words]
    elif words[0] == "generate" and "--run" in words:
        words[words.index("--run") + 1] = request.getfixturevalue("tiny_text_model")
        words[words.index("--run")] = "--pretrained"
    elif words[0] == "pretrain":
        Path("dickens.txt").write_text(shared("text/dickens.txt").read_text()[:3000])
        words += ["epochs=1", "model.units=8", "model.embedding_dim=4"]
    elif words[0] == "finetune":
        if "mydickens" in words:
            words[words.index("mydickens")] = request.getfixturevalue("tiny_text_model")
        small = ["rounds=0", "eval.max_examples=2"]  # the full-size model: a round takes long
        words = [*(word for word in words if not word.startswith("rounds=")), *small]
    elif words[0] == "train" and "--help" not in words and "--cfg" not in words:
        sweep, goes_on = "-m" in words, "--resume" in words
        if sweep:
            words = [*sweep_of_two(words)]
        if sweep or not goes_on:
            if not re.search("model=|dataset=|experiment=", command):
                words += MLP
            elif "model=mlp" in words:
                words += MLP[1:]
        if goes_on and not sweep:
            run = request.getfixturevalue("small_run")
            words = [run if word.startswith("outputs/") else word for word in words]
            words = [*(word for word in words if not word.startswith("rounds=")), "rounds=2"]
            if "auto" in words:
                words += [*MLP, *SMALL]
        else:
            words = [*(word for word in words if not word.startswith("rounds=")), *SMALL, "rounds=1"]
            if "shakespeare" in command:
                words += ["model.units=8", "dataset.sequence_length=10"]
    if words[-1] != "--resume" and "-m" in words and "--resume" in words:
        words = [*(word for word in words if word != "--resume"), "--resume"]  # it takes no value here
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    assert "error" not in result.stderr
    if "logger=wandb" in words:
        # W&B leaves the sockets to its own process to the garbage collector.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    if words[0] in ("train", "finetune", "pretrain") and "--help" not in words and "--cfg" not in words:
        assert list(Path("outputs").glob("**/result.json"))


def sweep_of_two(words):
    """Yields the words with two values of the first key that has several, and one of each other."""
    left = 2
    for word in words:
        values = re.fullmatch(r"([\w.]+)=([^(,]+(,[^(,]+)+)", word)
        if values:
            word = f"{values[1]}={','.join(values[2].split(',')[:left])}"
            left = 1
        yield word.replace("n_trials=3", "n_trials=2")


def invoke_environment(monkeypatch, **variables):
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert "FEDCLI_CACHE" not in os.environ
