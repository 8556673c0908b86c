"""`fedcli finetune`, end to end on real text with a tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_train import TINY, record
from tests.conftest import metrics, shared

SMALL = [
    "rounds=2",
    "clients_per_round=3",
    "dataset.sequence_length=20",
    "dataset.max_batches_per_client=3",
    "eval.every=1",
    "eval.max_examples=40",
    "client_optimizer.learning_rate=0.5",
]


@pytest.fixture
def shakespeare(monkeypatch, invoke):
    """The real Shakespeare, from the mirror."""
    monkeypatch.setenv("FEDCLI_ORIGIN", shared("mirror").resolve().as_uri())
    monkeypatch.setenv("FEDCLI_CACHE", str(Path.home() / "mirror"))
    return invoke


@pytest.fixture
def tiny(tmp_path):
    """A tiny text model, as plain Keras makes it."""
    import tensorflow as tf

    from fedcli.datasets.base import DataSpec
    from fedcli.models.char_rnn import CharRNN

    tf.keras.utils.set_random_seed(1)
    model = CharRNN(embedding_dim=8, units=16, reset_after=False).export(
        DataSpec("text", (20,), "int32", (20,), 86, 715)
    )
    path = tmp_path / "tiny.keras"
    model.save(path)
    return path, [np.asarray(weight) for weight in model.trainable_weights]


def run_of(result):
    assert result.exit_code == 0, result.stderr
    return Path(result.stderr.split("run:")[1].split()[0])


def test_goes_on_from_the_pretrained_weights(shakespeare, tiny):
    import tensorflow as tf

    path, _ = tiny
    run = run_of(shakespeare("finetune", "--pretrained", str(path), *SMALL))
    assert record(run)["command"] == "finetune"
    assert record(run)["status"] == "completed"
    rows = metrics(run)
    assert len(rows) == 3
    assert float(rows[2]["eval/loss"]) < float(rows[0]["eval/loss"])
    assert float(rows[0]["eval/guessing_accuracy"]) == pytest.approx(1 / 86)
    assert float(rows[2]["eval/random_characters_accuracy"]) < 0.1
    # Row 0 is the pretrained model: no round trains it.
    from fedcli.datasets.shakespeare import Shakespeare

    test = Shakespeare(sequence_length=20).load().test(40)
    reported = rows[0], rows[2]
    for file, row in zip((path, run / "model.keras"), reported, strict=True):
        model = tf.keras.models.load_model(file, safe_mode=True)
        hits = np.argmax(model.predict(test.x, verbose=0), -1) == test.y
        assert hits[test.y >= 0].mean() == pytest.approx(float(row["eval/accuracy"]), abs=1e-6)
    config = (run / "config.yaml").read_text()
    assert "reset_after: false" in config
    assert "units: 16" in config


def test_generates_from_the_finetuned_weights(shakespeare, tiny):
    """Not from the original's, as the study does."""
    from fedcli.models.generation import TextGenerator
    from fedcli.pretrained import load_pretrained
    from fedcli.runs.checkpoints import CheckpointStore
    from fedcli.text.vocabulary import encode

    path, weights = tiny
    run = run_of(shakespeare("finetune", "--pretrained", str(path), *SMALL))
    ids = encode("What of it?")
    finetuned = load_pretrained(str(run))
    logits = TextGenerator(finetuned.model, finetuned.weights).logits(ids)
    checkpoint = CheckpointStore(run / "checkpoints").latest()
    saved = [tensor for name, tensor in checkpoint.tensors if name.startswith("global_model_weights/trainable/")]
    assert checkpoint.round == 2
    np.testing.assert_allclose(logits, TextGenerator(finetuned.model, saved).logits(ids), rtol=1e-6)
    assert np.abs(logits - TextGenerator(finetuned.model, weights).logits(ids)).max() > 0.01
    prompt = ["--prompt", "What of it? ", "--length", "30", "-q", "--temperature", "0.5"]
    one, again, original = (
        shakespeare("generate", *source, *prompt).stdout
        for source in (["--run", str(run)], ["--run", str(run)], ["--pretrained", str(path)])
    )
    assert one == again
    assert one != original


def test_samples_go_to_tensorboard_and_the_log(shakespeare, tiny):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = run_of(shakespeare("finetune", "--pretrained", str(tiny[0]), *SMALL))
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    samples = events.Tensors("sample")
    assert [event.step for event in samples] == [0, 1, 2]
    texts = [event.tensor_proto.string_val[0].decode() for event in samples]
    assert all(text.startswith("What of TensorFlow Federated, you ask? ") for text in texts)
    assert len(set(texts)) > 1
    log = (run / "run.log").read_text()
    assert all(f"sample after round {round}" in log for round in range(3))


def test_resumes_to_the_same_result_and_compares_seeds(shakespeare, tiny):
    path = str(tiny[0])
    unbroken = run_of(shakespeare("finetune", "--pretrained", path, *SMALL))
    run = run_of(shakespeare("finetune", "--pretrained", path, *SMALL, "rounds=1"))
    assert run_of(shakespeare("finetune", "--resume", str(run), "rounds=2")) == run
    assert metrics(run) == metrics(unbroken)
    other = run_of(shakespeare("finetune", "--pretrained", path, *SMALL, "seed=1"))
    assert metrics(other)[0] == metrics(unbroken)[0]
    assert metrics(other)[2] != metrics(unbroken)[2]


def test_a_run_can_be_finetuned_on_other_clients(invoke):
    """Not for text alone."""
    first = run_of(invoke("train", *TINY, "rounds=2", "dataset.clients=[writer_00,writer_01,writer_02,writer_03]"))
    second = run_of(
        invoke("finetune", "--pretrained", str(first), "dataset=digits", "dataset.clients=[writer_05,writer_06]",
               "clients_per_round=2", "rounds=1", "client_optimizer.learning_rate=0.01", "eval.max_examples=null")
    )  # fmt: skip
    assert metrics(second)[0]["eval/accuracy"] == metrics(first)[-1]["eval/accuracy"]
    assert metrics(second)[1]["eval/loss"] != metrics(second)[0]["eval/loss"]


def test_small_roles_take_part_unless_the_study_drops_them(shakespeare, tiny):
    path = str(tiny[0])
    arguments = ["--pretrained", path, *SMALL, "rounds=1", "dataset.sequence_length=100"]
    kept = shakespeare("finetune", *arguments)
    assert "no batch" not in kept.stderr
    dropped = shakespeare("finetune", *arguments, "dataset.drop_remainder=true")
    assert "335 of 715 clients have no batch" in dropped.stderr
    assert "335 of 715 clients have no batch" in (run_of(dropped) / "run.log").read_text()


def test_the_study(shakespeare):
    """`experiment=text_generation`: its settings, without its 5 rounds of the full model."""
    shown = shakespeare("finetune", "--pretrained", "dickens", "experiment=text_generation", "--cfg", "job").stdout
    import yaml

    config = yaml.safe_load(shown)
    assert config["pretrained"] == "dickens"
    assert config["rounds"] == 5
    assert config["clients_per_round"] == len(config["dataset"]["clients"]) == 2
    assert config["dataset"]["batch_size"] == 8
    assert config["dataset"]["max_batches_per_client"] == 5
    assert config["dataset"]["sequence_length"] == 100
    assert config["dataset"]["drop_remainder"] is True
    assert config["client_optimizer"] == {"name": "sgd", "learning_rate": 0.5, "momentum": 0.0}
    assert config["server_optimizer"]["learning_rate"] == 1.0


def mistakes(tmp_path):
    truncated = tmp_path / "truncated.keras"
    truncated.write_bytes(b"PK\x03\x04 not all of it")
    return {
        "unknown": (["--pretrained", "dickns"], 2, "dickens"),
        "none": ([], 2, "--pretrained"),
        "truncated": (["--pretrained", str(truncated)], 1, "truncated.keras"),
        "model": (["--pretrained", "dickens", "model.units=3"], 2, "pretrained"),
        "images": (["--pretrained", "dickens", "dataset=digits"], 2, "text"),
    }


@pytest.mark.parametrize("name", ["unknown", "none", "truncated", "model", "images"])
def test_mistakes_are_two_lines(shakespeare, tmp_path, name):
    arguments, code, word = mistakes(tmp_path)[name]
    result = shakespeare("finetune", *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 2
    assert word in result.stderr
    assert not Path("outputs").exists()


def test_a_model_for_images_is_refused_for_text(shakespeare):
    run = run_of(shakespeare("train", *TINY, "rounds=0"))
    result = shakespeare("finetune", "--pretrained", str(run))
    assert result.exit_code == 2
    assert "image" in result.stderr


def test_json_names_the_run(shakespeare, tiny):
    result = shakespeare("finetune", "--pretrained", str(tiny[0]), *SMALL, "rounds=1", "--json")
    assert json.loads(result.stdout)["rounds"] == 1


def test_frozen_layers_are_refused_and_settings_of_the_training_left_out(shakespeare, tmp_path):
    import tensorflow as tf

    layers = tf.keras.layers
    embedding = layers.Embedding(86, 8, input_shape=(None,))
    gru = layers.GRU(16, return_sequences=True, kernel_regularizer="l2")
    model = tf.keras.Sequential([embedding, gru, layers.Dense(86)])
    embedding.trainable = False
    model.save(tmp_path / "frozen.keras")
    result = shakespeare("finetune", "--pretrained", str(tmp_path / "frozen.keras"), *SMALL)
    assert result.exit_code == 2
    first, second = result.stderr.strip().splitlines()
    assert "layers that are not trainable (Embedding)" in first
    assert "save the model again" in second
    embedding.trainable = True
    model.save(tmp_path / "free.keras")
    run = run_of(shakespeare("finetune", "--pretrained", str(tmp_path / "free.keras"), *SMALL, "rounds=1"))
    assert "fine-tuning goes without the file's kernel_regularizer of GRU" in (run / "run.log").read_text()
