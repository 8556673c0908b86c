"""`fedcli pretrain` end to end, in this process but where it is killed."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from fedcli.config.pretrain import PretrainConfig
from fedcli.datasets.base import PADDING
from fedcli.keys.location import config_folder
from fedcli.models.char_rnn import CharRNN
from fedcli.pretrained import load_pretrained, pretrained_path
from fedcli.text.vocabulary import encode
from fedcli.training.text_file import split
from tests.conftest import clean_environment, metrics

TINY = [
    "model.units=16",
    "model.embedding_dim=8",
    "sequence_length=20",
    "batch_size=16",
    "learning_rate=0.02",
    # One graph instead of two; more shards where threads could change something.
    "shards=1",
]
WORDS = ("best", "worst", "first", "last", "age", "season", "spring", "winter", "epoch", "hour")
LINES = [f"It was the {word} of times, said Mr. Lorry; and the clock struck {n}.\n" for n, word in enumerate(WORDS)]
TEXT = "".join(LINES) * 8
DEADLINE = 120


@pytest.fixture
def folder(tmp_path, monkeypatch, invoke):
    """An empty working folder with a text, and a cache of its own."""
    (tmp_path / "text.txt").write_text(TEXT)
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def pretrain(folder, invoke):
    """Runs `fedcli pretrain` with a tiny model; returns the run's folder, or what was printed if it fails."""

    def run(*arguments, code=0, new=True):
        given = ["--text", "text.txt", "--name", "mine", *TINY] if new else []
        result = invoke("pretrain", *given, *arguments)
        assert result.exit_code == code, result.stderr
        return Path(re.search(r"run: +(\S+)", result.stderr)[1]) if code == 0 else result

    return run


def document(run, name="result.json"):
    return json.loads((run / name).read_text())


def test_makes_a_run_and_a_name(pretrain, invoke):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = pretrain("epochs=4")
    assert {path.name for path in run.iterdir()} >= {
        *("run.json", "config.yaml", ".hydra", "metrics.csv", "events", "checkpoints"),
        *("model.keras", "result.json", "run.log"),
    }
    record = document(run, "run.json")
    assert (record["command"], record["status"]) == ("pretrain", "completed")
    rows = metrics(run)
    assert [row["round"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert float(rows[-1]["eval/loss"]) < float(rows[1]["eval/loss"]) < float(rows[0]["eval/loss"])
    assert all(row["train/loss"] and row["train/accuracy"] and row["eval/accuracy"] for row in rows[1:])
    result = document(run)
    assert result["pretrained"]["path"] == str(pretrained_path("mine"))
    assert pretrained_path("mine").read_bytes() == (run / "model.keras").read_bytes()
    model = load_pretrained("mine")
    assert (model.model.units, model.model.embedding_dim, model.num_classes) == (16, 8, 86)
    generated = [invoke("generate", *of, "--length", "30") for of in (["--pretrained", "mine"], ["--run", str(run)])]
    assert [one.exit_code for one in generated] == [0, 0]
    assert generated[0].stdout == generated[1].stdout
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    curve = {event.step: event.tensor_proto.float_val[0] for event in events.Tensors("eval/loss")}
    assert curve == pytest.approx({int(row["round"]): float(row["eval/loss"]) for row in rows})


def test_plain_keras_gives_the_reported_accuracy(pretrain):
    import tensorflow as tf

    run = pretrain("epochs=2")
    model = tf.keras.models.load_model(run / "model.keras")
    _, held_out = split(encode(TEXT), 20, 0.1)
    there = held_out.y != PADDING
    hits = model.predict(held_out.x, verbose=0).argmax(-1)[there] == held_out.y[there]
    assert np.mean(hits) == pytest.approx(document(run)["pretrained"]["eval/accuracy"], abs=1e-6)


def test_one_seed_one_result(pretrain):
    one, same, other = (
        metrics(pretrain("epochs=2", "shards=3", "--overwrite", f"seed={seed}", f"output_dir=outputs{i}"))
        for i, seed in enumerate((3, 3, 4))
    )
    assert one == same
    assert one != other


def test_early_stopping_keeps_the_best_weights(pretrain):
    # So large a step that the loss soon grows.
    run = pretrain("epochs=60", "learning_rate=0.6", "patience=2")
    rows, result = metrics(run), document(run)
    losses = [float(row["eval/loss"]) for row in rows]
    best = int(np.argmin(losses))
    assert result["stopped_early"]
    assert result["rounds"] == best + 2 < 60
    assert result["pretrained"]["epoch"] == best
    assert result["pretrained"]["eval/loss"] == losses[best]
    import tensorflow as tf

    model = tf.keras.models.load_model(run / "model.keras")
    _, held_out = split(encode(TEXT), 20, 0.1)
    there = held_out.y != PADDING
    log_p = tf.nn.log_softmax(model.predict(held_out.x, verbose=0)).numpy()[there]
    assert -np.mean(log_p[np.arange(len(log_p)), held_out.y[there]]) == pytest.approx(losses[best], rel=1e-5)
    # Resumed, it has nothing to do; with more patience, it goes on.
    pretrain("--resume", str(run), new=False)
    assert metrics(run) == rows
    pretrain("--resume", str(run), "patience=3", new=False)
    assert metrics(run)[: len(rows)] == rows
    assert len(metrics(run)) > len(rows)


def test_unknown_characters_are_counted(folder, invoke):
    (folder / "text.txt").write_text(TEXT + "caf\u00e9 \u201cyes\u201d", encoding="utf-8")
    result = invoke("pretrain", "--text", "text.txt", "--name", "mine", *TINY, "epochs=1", "--json")
    assert json.loads(result.stdout)["text"]["unknown_characters"] == 3
    assert "3 of" in result.stderr
    assert "'\\xe9' (1)" in result.stderr


def test_resume_goes_on_to_the_result_of_an_unbroken_run(pretrain):
    unbroken = pretrain("epochs=5", "output_dir=unbroken")
    run = pretrain("epochs=3", "--overwrite")
    assert pretrain("--resume", str(run), "epochs=5", new=False) == run
    assert metrics(run) == metrics(unbroken)
    weights, others = (load_pretrained(str(one / "model.keras")).weights for one in (run, unbroken))
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))
    assert document(run, "run.json")["resumed"] == [3]
    # From before the last row, as after kill -9 between two checkpoints; and from nothing.
    (run / "checkpoints" / "round_000005.npz").unlink()
    (run / "checkpoints" / "round_000003.npz").unlink(missing_ok=True)
    pretrain("--resume", str(run), new=False)
    assert metrics(run) == metrics(unbroken)
    shutil.rmtree(run / "checkpoints")
    (run / "run.json").write_text(json.dumps({**document(run, "run.json"), "status": "interrupted"}))
    pretrain("--resume", "auto", "epochs=6")
    assert metrics(run)[:6] == metrics(unbroken)
    assert len(metrics(run)) == 7


def test_resume_refuses_another_config_or_text(pretrain, folder):
    run = pretrain("epochs=1")
    assert "seed=5" in pretrain("--resume", str(run), "seed=5", new=False, code=2).stderr
    assert "1 epochs already" in pretrain("--resume", str(run), "epochs=0", new=False, code=2).stderr
    (folder / "text.txt").write_text(TEXT + "more")
    assert "made with other inputs: the data" in pretrain("--resume", str(run), "epochs=2", new=False, code=2).stderr


def test_a_name_is_taken_once(pretrain, folder):
    first = pretrain("epochs=1")
    before = pretrained_path("mine").read_bytes()
    result = pretrain("epochs=1", "seed=2", code=2)
    assert "--overwrite" in result.stderr
    assert len(list(folder.glob("outputs/*/*"))) == 1
    assert pretrained_path("mine").read_bytes() == before
    # Its own run goes on under the name; after another took it over, not.
    pretrain("--resume", str(first), "epochs=2", new=False)
    pretrain("epochs=1", "seed=2", "--overwrite")
    assert "--overwrite" in pretrain("--resume", str(first), "epochs=3", new=False, code=2).stderr


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 2, "no such file"),
        (b"", 2, "empty"),
        (b" \n ", 2, "empty"),
        (b"too short", 2, "too few"),
        (b"\x7fELF\x01\x00\x02" + TEXT.encode(), 2, "byte 5"),
        (b"line\ncaf\xe9 " + TEXT.encode(), 2, "byte 8 (line 2) is 0xe9"),
    ],
)
def test_a_text_that_is_none(folder, invoke, content, code, said):
    if content is not None:
        (folder / "bad.txt").write_bytes(content)
    result = invoke("pretrain", "--text", "bad.txt", "--name", "mine", *TINY)
    assert result.exit_code == code
    assert said in result.stderr
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["error:", "try:"]
    assert not list(folder.glob("outputs/*/*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "mine"], "--text"),
        (["--text", "text.txt"], "--name"),
        (["--text", ".", "--name", "mine"], "a folder"),
        (["--text", "text.txt", "--name", "dickens"], "published"),
        (["--text", "text.txt", "--name", "a, b"], "not a name"),
        (["--text", "text.txt", "--name", "mine", "epoch=2"], "did you mean epochs"),
        (["--text", "text.txt", "--name", "mine", "model=cnn"], "image"),
        (["--text", "text.txt", "--name", "mine", "dataset=emnist"], "dataset"),
    ],
)
def test_arguments_that_make_no_sense(folder, invoke, arguments, said):
    result = invoke("pretrain", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["error:", "try:"]


def test_a_text_with_a_difficult_path(folder, invoke):
    (folder / "a b, c='d'").mkdir()
    (folder / "a b, c='d'" / "[x].txt").write_text(TEXT)
    result = invoke("pretrain", "--text", "a b, c='d'/[x].txt", "--name", "mine", *TINY, "epochs=0")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("rate", ["1e3", "1e6"])
def test_divergence_is_an_error(pretrain, rate):
    stderr = pretrain(f"learning_rate={rate}", code=1).stderr
    # Whether the loss ends as NaN, or as a large number on the held-out text only, is up to the processor's kernels.
    assert "no epoch of 3" in stderr or "diverged" in stderr
    assert "lower learning_rate" in stderr
    assert not pretrained_path("mine").exists()


def test_a_long_epoch_shows_its_batches(folder, invoke, monkeypatch):
    monkeypatch.setattr("fedcli.cli.epochs._PLAIN_SECONDS", 0.0)
    result = invoke("pretrain", "--text", "text.txt", "--name", "mine", *TINY, "epochs=1")
    assert re.search(r"^epoch 1/1  batch 1/\d+  train/loss \d\.\d+  \d\.\d\d s/batch  \d+ s left$", result.stderr, re.M)


def test_yaml_has_the_keys_and_defaults_of_its_dataclass():
    values = OmegaConf.to_container(OmegaConf.load(config_folder() / "pretrain.yaml"))
    del values["defaults"]
    config = dataclasses.asdict(PretrainConfig(CharRNN()))
    # Choices of groups: the defaults list has them.
    del config["model"], config["logger"]
    assert values == config


class Process:
    """`fedcli pretrain` in a process of its own."""

    def __init__(self, folder, *arguments):
        environment = clean_environment(FEDCLI_CACHE=str(folder / "cache"), PYTHONPATH=str(Path(__file__).parents[2]))
        command = [sys.executable, "-m", "fedcli", "pretrain", "--text", "text.txt", "--name", "mine", *TINY]
        self.folder = folder
        self.process = subprocess.Popen(
            [*command, *arguments], cwd=folder, env=environment, text=True, stderr=subprocess.PIPE
        )

    def wait_for_epochs(self, count):
        """Waits until metrics.csv has so many epochs; returns the run's folder."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            for run in self.folder.glob("outputs/*/*"):
                if (run / "metrics.csv").exists() and len(metrics(run)) > count:
                    return run
            if self.process.poll() is not None:
                pytest.fail(f"the process ended: {self.process.stderr.read()}")
            time.sleep(0.02)  # between two looks, not for luck: the condition decides
        pytest.fail("not within the deadline")


def test_a_killed_run_resumes_to_the_same_result(folder, pretrain):
    arguments = ["epochs=20", "patience=null", "checkpoint.every=3", "shards=2"]
    process = Process(folder, *arguments)
    run = process.wait_for_epochs(4)
    process.process.kill()
    process.process.communicate(timeout=DEADLINE)
    assert document(run, "run.json")["status"] == "running"
    assert len(metrics(run)) < 21
    assert pretrain("--resume", "auto", *arguments) == Path(os.path.relpath(run))
    assert document(run, "run.json")["resumed"][0] % 3 == 0
    unbroken = pretrain(*arguments, "output_dir=unbroken", "--overwrite")
    assert metrics(run) == metrics(unbroken)


def test_an_interrupt_ends_after_the_epoch_and_prints_how_to_go_on(folder, pretrain):
    process = Process(folder, "epochs=100000", "patience=null")
    run = process.wait_for_epochs(2)
    process.process.send_signal(signal.SIGINT)
    _, stderr = process.process.communicate(timeout=DEADLINE)
    assert process.process.returncode == 130
    last = len(metrics(run)) - 1
    assert f"after epoch {last}" in stderr
    assert document(run, "run.json")["status"] == "interrupted"
    assert not pretrained_path("mine").exists()
    path = re.search(r"fedcli pretrain --resume (\S+)", stderr)[1]
    pretrain("--resume", path, f"epochs={last + 2}", new=False)
    unbroken = pretrain("patience=null", f"epochs={last + 2}", "output_dir=unbroken", "--overwrite")
    assert metrics(run) == metrics(unbroken)
    assert load_pretrained("mine")
