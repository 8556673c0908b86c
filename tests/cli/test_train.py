"""`fedcli train` end to end, in this process, so that TensorFlow is imported once."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import clean_environment, metrics

ROOT = Path(__file__).parents[2]
TINY = [
    "model=mlp",
    "model.hidden_units=[26]",  # as small as aggregator=compression takes
    "clients_per_round=4",
    "eval.every=2",
    "client_optimizer.learning_rate=0.3",
]


def record(run):
    return json.loads((run / "run.json").read_text())


def test_leaves_a_complete_run_directory(train):
    run = train("rounds=3", "seed=7")
    assert {path.name for path in run.iterdir()} >= {
        "run.json",
        "config.yaml",
        ".hydra",
        "metrics.csv",
        "events",
        "checkpoints",
        "model.keras",
        "result.json",
        "run.log",
    }
    assert run.parts[0] == "outputs"
    assert run.name.endswith("-train-" + record(run)["id"])
    assert record(run)["status"] == "completed"
    assert record(run)["overrides"] == [*TINY, "rounds=3", "seed=7"]
    assert record(run)["seed"] == 7
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["rounds"] == 3
    assert config["dataset"]["name"] == "digits"
    rows = metrics(run)
    assert [row["round"] for row in rows] == ["0", "1", "2", "3"]
    assert list(rows[0])[:10] == [
        "round",
        "train/loss",
        "train/accuracy",
        "train/examples",
        "eval/loss",
        "eval/accuracy",
        "broadcasted_bits",
        "aggregated_bits",
        "broadcasted_bits_round",
        "aggregated_bits_round",
    ]
    # Row 0 is the untrained model; then every second round, and the last.
    assert [bool(row["eval/accuracy"]) for row in rows] == [True, False, True, True]
    assert [bool(row["train/loss"]) for row in rows] == [False, True, True, True]
    result = json.loads((run / "result.json").read_text())
    assert result["rounds"] == 3
    assert result["final"]["eval/accuracy"] == float(rows[-1]["eval/accuracy"])


def test_learns(train):
    rows = metrics(train("rounds=20", "model.hidden_units=[]", "client_optimizer.learning_rate=0.01", "eval.every=5"))
    assert float(rows[0]["eval/accuracy"]) < 0.3
    assert float(rows[-1]["eval/accuracy"]) > 0.7
    assert float(rows[-1]["train/loss"]) < float(rows[1]["train/loss"]) * 0.7


def test_bits_are_summed(train):
    rows = metrics(train("rounds=2"))
    parameters = 784 * 26 + 26 + 26 * 10 + 10
    assert int(rows[1]["broadcasted_bits_round"]) == pytest.approx(4 * 32 * parameters, rel=0.001)
    assert int(rows[2]["broadcasted_bits"]) == 2 * int(rows[1]["broadcasted_bits_round"])
    assert int(rows[2]["aggregated_bits"]) == 2 * int(rows[1]["aggregated_bits_round"])


@pytest.mark.parametrize("aggregator", ["mean", "compression"])
def test_one_seed_one_result_whatever_the_threads(train, aggregator):
    arguments = ["rounds=3", f"aggregator={aggregator}", "model.hidden_units=[40]"]
    one, two, other = (
        metrics(train(*arguments, f"runtime.threads={threads}", f"seed={seed}"))
        for threads, seed in ((1, 3), (2, 3), (2, 4))
    )
    assert one == two
    assert one != other


def test_the_keras_file_gives_the_reported_accuracy(train):
    import tensorflow as tf

    from fedcli.datasets.digits import Digits

    run = train("rounds=3")
    model = tf.keras.models.load_model(run / "model.keras")
    test = Digits().load().test()
    accuracy = np.mean(model.predict(test.x, verbose=0).argmax(1) == test.y)
    assert accuracy == pytest.approx(float(metrics(run)[-1]["eval/accuracy"]), abs=1e-6)


def test_tensorboard_reads_the_curves(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train("rounds=3")
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    rows = metrics(run)
    for name in ("train/loss", "eval/accuracy", "aggregated_bits"):
        curve = {event.step: event.tensor_proto.float_val[0] for event in events.Tensors(name)}
        assert curve == pytest.approx({int(row["round"]): float(row[name]) for row in rows if row[name]})
    assert events.PluginTagToContent("hparams")


def test_resume_goes_on_to_the_result_of_an_unbroken_run(train):
    unbroken = metrics(train("rounds=6", "aggregator=compression", "checkpoint.every=2"))
    run = train("rounds=4", "aggregator=compression", "checkpoint.every=2")
    resumed = train("--resume", str(run), "rounds=6")
    assert resumed == run
    assert metrics(run) == unbroken
    assert record(run)["resumed"] == [4]
    assert record(run)["status"] == "completed"
    assert yaml.safe_load((run / "config.yaml").read_text())["rounds"] == 6


def test_resume_from_before_the_last_row(train):
    """As after kill -9 between two checkpoints: later rows and events go."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train("rounds=5", "checkpoint.every=2", "checkpoint.keep=3")
    unbroken = metrics(run)
    (run / "checkpoints" / "round_000005.npz").unlink()
    train("--resume", str(run))
    assert metrics(run) == unbroken
    assert record(run)["resumed"] == [4]
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    assert [event.step for event in events.Tensors("train/loss")] == [1, 2, 3, 4, 5]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(train, invoke):
    run = train("rounds=5", "checkpoint.every=2", "checkpoint.keep=3")
    unbroken = metrics(run)
    newest = run / "checkpoints" / "round_000005.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    result = invoke("train", "--resume", str(run))
    assert result.exit_code == 0, result.stderr
    assert "round_000005.npz" in result.stderr
    assert metrics(run) == unbroken
    assert record(run)["resumed"] == [4]


def test_resume_before_the_first_checkpoint_begins_again(train):
    run = train("rounds=2")
    unbroken = metrics(run)
    shutil.rmtree(run / "checkpoints")
    train("--resume", str(run))
    assert metrics(run) == unbroken


def test_resume_auto_finds_the_newest_unfinished_run_of_the_config(train, invoke):
    first = train("rounds=2", "seed=1")
    train("rounds=2", "seed=2")
    (first / "run.json").write_text(json.dumps({**record(first), "status": "interrupted"}))
    assert train("rounds=3", "seed=1", "--resume", "auto") == first
    assert len(metrics(first)) == 4
    # That run is complete now, so there is nothing to resume.
    new = train("rounds=3", "seed=1", "--resume", "auto")
    assert new != first
    assert metrics(new) == metrics(first)


def test_resume_refuses_another_config(train):
    run = train("rounds=2")
    result = train("--resume", str(run), "clients_per_round=5", code=2)
    assert "clients_per_round=5" in result.stderr
    result = train("--resume", str(run), "rounds=1", code=2)
    assert "2 rounds already" in result.stderr


def test_json_prints_one_document(invoke):
    result = invoke("train", *TINY, "rounds=1", "--json")
    document = json.loads(result.stdout)
    assert document["status"] == "completed"
    assert Path(document["run"]).is_dir()
    assert document["rounds"] == 1


def test_quiet_says_nothing(invoke):
    result = invoke("train", *TINY, "rounds=1", "-q")
    assert (result.stdout, result.stderr) == ("", "")


def test_zero_rounds_evaluate_the_initial_model(train):
    rows = metrics(train("rounds=0"))
    assert len(rows) == 1
    assert rows[0]["eval/accuracy"]


def test_max_examples_limits_the_evaluation(train):
    one, two = (metrics(train("rounds=0", f"eval.max_examples={count}"))[0]["eval/accuracy"] for count in (50, "null"))
    assert (float(one) * 50).is_integer()
    assert one != two


def test_variants_change_the_run(train):
    plain = metrics(train("rounds=1"))
    for variant in (
        "algorithm.weighted=false",
        "server_optimizer=adam",
        "dataset.client_epochs=3",
        "dataset.max_batches_per_client=1",
        "dataset.drop_remainder=true",
    ):
        varied = metrics(train("rounds=1", variant))
        assert plain[0] == varied[0], variant
        assert plain[1] != varied[1], variant


def test_a_repeated_config_needs_no_tff(tmp_path, invoke, monkeypatch):
    """The compiled round is kept: the second run imports TensorFlow only, and its numbers are the same.

    TensorFlow takes along neither JAX, which comes with TFF, nor boto3. Python looks for garbage, but not in it.
    """
    code = (
        "import gc, sys; from fedcli.cli.main import main\n"
        "try: main()\nfinally: print(*(name in sys.modules for name in ('tensorflow_federated', 'jax', 'boto3')),"
        " gc.isenabled(), gc.get_freeze_count() > 100_000)"
    )
    arguments = ["train", "rounds=1", "model=mlp", "model.hidden_units=[5]", "clients_per_round=2", "-q"]
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    assert invoke(*arguments, "output_dir=one").exit_code == 0

    def run(*more):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, *more],
            env=clean_environment(FEDCLI_CACHE=str(tmp_path / "cache"), PYTHONPATH=str(ROOT)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("output_dir=two") == "False False False True True"
    one, two = (metrics(next(tmp_path.glob(f"{name}/*/*"))) for name in ("one", "two"))
    assert one == two
    assert run("output_dir=three", "runtime.cache=false") == "True True False True True"
