"""`fedcli generate`: text from a run, a name or a file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fedcli.datasets.base import DataSpec
from fedcli.models.char_rnn import CharRNN
from fedcli.models.cnn import CNN
from fedcli.models.generation import Sampling, TextGenerator
from fedcli.pretrained import load_pretrained, pretrained_path
from tests.cli.test_help import modules_loaded
from tests.conftest import clean_environment, shared

PROMPT = "What of TensorFlow Federated, you ask? "


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A character RNN and a CNN as Keras files."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("generate")
    tf.keras.utils.set_random_seed(5)
    CharRNN(embedding_dim=4, units=8).export(DataSpec("text", (20,), "int32", (20,), 86, 1)).save(folder / "rnn.keras")
    CNN().export(DataSpec("image", (28, 28, 1), "float32", (), 10, 1)).save(folder / "cnn.keras")
    (folder / "cut.keras").write_bytes((folder / "rnn.keras").read_bytes()[:-2000])
    return folder


@pytest.fixture
def generate(invoke, files, tmp_path, monkeypatch):
    """Runs `fedcli generate`, by default with the character RNN."""
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))

    def run(*arguments, code=0, model=("--pretrained", str(files / "rnn.keras"))):
        result = invoke("generate", *model, *arguments)
        assert result.exit_code == code, result.stderr
        return result

    return run


def fake_run(folder, keras_file, *, model="char_rnn", status="completed"):
    """What a run leaves, as far as generating needs it."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"id": "abcdef", "command": "train", "status": status}))
    (folder / "config.yaml").write_text(f"model: {{name: {model}}}\n")
    (folder / "model.keras").write_bytes(keras_file.read_bytes())
    return folder


def test_one_seed_one_text(generate):
    one, same, other = (generate("--length", "40", "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert one == same
    assert one != other
    assert one.startswith(PROMPT)
    assert len(one) == len(PROMPT) + 40 + 1
    assert one.endswith("\n")


def test_greedy_needs_no_seed(generate, files):
    one, other = (generate("--temperature", "0", "--length", "20", "--seed", seed).stdout for seed in ("1", "2"))
    assert one == other == generate("--top-k", "1", "--length", "20").stdout
    model = load_pretrained(str(files / "rnn.keras"))
    text = "".join(TextGenerator(model.model, model.weights).generate(PROMPT, 20, Sampling(0)))
    assert one == f"{PROMPT}{text}\n"


def test_json_is_one_document(generate, files):
    arguments = ["--prompt", "To be", "--length", "9", "--seed", "3", "--samples", "3", "--top-k", "40"]
    result = generate(*arguments, "--temperature", "0.5", "--json")
    document = json.loads(result.stdout)
    samples = document.pop("samples")
    assert document == {
        "source": str(files / "rnn.keras"),
        "path": str(files / "rnn.keras"),
        "prompt": "To be",
        "seed": 3,
        "temperature": 0.5,
        "top_k": 40,
        "length": 9,
    }
    assert [len(sample) for sample in samples] == [9, 9, 9]
    assert len(set(samples)) == 3
    plain = generate(*arguments, "--temperature", "0.5")
    assert plain.stdout == "\n".join(f"To be{sample}\n" for sample in samples)
    assert plain.stderr.splitlines() == [f"--- sample {i} of 3 ---" for i in (1, 2, 3)]
    assert generate(*arguments, "-q").stderr == ""


def test_a_name_a_run_and_the_newest_run(generate, files, tmp_path):
    text = generate("--length", "20").stdout
    path = pretrained_path("mine")
    path.parent.mkdir(parents=True)
    path.write_bytes((files / "rnn.keras").read_bytes())
    assert generate("--length", "20", model=("--pretrained", "mine")).stdout == text
    run = fake_run(tmp_path / "outputs/2026-01-01/10-00-00-train-abcdef", files / "rnn.keras")
    fake_run(tmp_path / "outputs/2026-01-02/10-00-00-train-abcdef", files / "cnn.keras", model="cnn")
    fake_run(tmp_path / "outputs/2026-01-03/10-00-00-train-abcdef", files / "rnn.keras", status="interrupted")
    (fake_run(tmp_path / "outputs/2026-01-04/10-00-00-train-abcdef", files / "rnn.keras") / "run.json").write_text("{")
    assert generate("--length", "20", model=("--run", str(run))).stdout == text
    newest = generate("--length", "20", model=())
    assert newest.stdout == text
    assert newest.stderr == f"model: {run.relative_to(tmp_path)}\n"
    # A run's folder is never taken for a name.
    fake_run(tmp_path / "mine", files / "cnn.keras", model="cnn")
    assert "model=cnn" in generate(model=("--run", "mine"), code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--temperature", "-1"], 2, "--temperature -1"),
        (["--temperature", "nan"], 2, "--temperature nan"),
        (["--length", "0"], 2, "--length 0"),
        (["--length", "many"], 2, "many"),
        (["--top-k", "0"], 2, "--top-k 0"),
        (["--samples", "0"], 2, "--samples 0"),
        (["--seed", "-1"], 2, "--seed -1"),
        (["--prompt", ""], 2, "prompt is empty"),
        (["--prompt", "caf\u00e9 {"], 2, "'\\xe9' at position 3, '{' at position 5"),
        (["--pretrained", "dickins"], 2, "did you mean dickens?"),
        (["--pretrained", "no.keras"], 2, "no such file"),
        (["--pretrained", "FILES/cnn.keras"], 2, "model=cnn"),
        (["--pretrained", "FILES/cut.keras"], 1, "truncated"),
        (["--run", "FILES/rnn.keras"], 2, "no run directory"),
        (["--run", "."], 2, "no run directory"),
        (["--run", ""], 2, "no run directory"),
        (["--run", ".", "--pretrained", "dickens"], 2, "both"),
        ([], 2, "--run RUN, or a model with --pretrained NAME|PATH"),
    ],
)
def test_errors_are_two_lines(run_cli, files, tmp_path, arguments, code, said):
    arguments = [argument.replace("FILES", str(files)) for argument in arguments]
    done = run_cli("generate", *arguments, env={"FEDCLI_CACHE": str(tmp_path)})
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["error:", "try:"]


def test_an_error_is_a_document_too(generate):
    result = generate("--length", "0", "--json", code=2)
    assert json.loads(result.stdout)["error"]["exit_code"] == 2


class Streaming:
    """`fedcli generate` with a text of hours."""

    def __init__(self, files, *arguments):
        command = [sys.executable, "-m", "fedcli", "generate", "--pretrained", str(files / "rnn.keras")]
        environment = clean_environment(PYTHONPATH=str(Path(__file__).parents[2]))
        self.process = subprocess.Popen(
            [*command, "--length", "100000000", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # Python would otherwise buffer what it reads and block until it has a lot.
            bufsize=0,
        )

    def read(self, count):
        data = b""
        while len(data) < count:
            part = os.read(self.process.stdout.fileno(), count - len(data))
            assert part, self.process.stderr.read()
            data += part
        return data.decode()


def test_streams_and_ends_quietly_when_nobody_reads(files):
    streaming = Streaming(files)
    assert streaming.read(len(PROMPT) + 50).startswith(PROMPT)
    assert streaming.process.poll() is None
    streaming.process.stdout.close()
    assert streaming.process.wait(60) == 0
    assert streaming.process.stderr.read() == b""
    streaming.process.stderr.close()


def test_an_interrupt_ends_it(files):
    streaming = Streaming(files)
    streaming.read(len(PROMPT) + 5)
    streaming.process.send_signal(signal.SIGINT)
    stdout, stderr = streaming.process.communicate(timeout=60)
    assert streaming.process.returncode == 130
    assert [line.split()[0] for line in stderr.decode().splitlines()] == ["error:", "try:"]
    assert b"Traceback" not in stdout + stderr


def test_imports_no_tensorflow(files):
    loaded, _ = modules_loaded(
        "generate",
        "--pretrained",
        str(files / "rnn.keras"),
        "--length",
        "5",
        of=("tensorflow", "keras", "jax", "numpy"),
    )
    assert loaded == ["numpy"]


def test_the_published_model_writes_words(invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FEDCLI_ORIGIN", shared("mirror").resolve().as_uri())
    result = invoke("generate", "--pretrained", "dickens", "--temperature", "0", "--length", "60")
    assert result.exit_code == 0, result.stderr
    text = result.stdout.removeprefix(PROMPT)
    assert np.mean([word in text.split() for word in ("the", "and", "was", "of", "to", "he")]) > 0
