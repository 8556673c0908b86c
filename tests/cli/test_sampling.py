"""Dropout, over-selection and simulated devices end to end: `sampling.*`."""

import csv
import json
import math
from pathlib import Path

import pytest

from fedcli.runs.participants import read_participants
from tests.cli.test_finetune import SMALL, run_of, shakespeare, tiny  # noqa: F401 (fixtures)
from tests.cli.test_train import TINY, record
from tests.conftest import metrics

SIMULATED = ["sampling.dropout=0.2", "sampling.overselect=1.5", "sampling.jitter=0.3"]
STREAMS = ["aggregator=entropy", "distributor=entropy", "model.hidden_units=[40]"]
COLUMNS = {"simulated_seconds", "simulated_seconds_round", "clients/reported", "clients/dropped", "clients/cut"}


def without(rows, names):
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def participants(run):
    return read_participants(run / "participants.csv")


def test_with_all_reporting_only_the_time_is_new(train):
    plain = train("rounds=2")
    simulated = train("rounds=2", "sampling.simulate=true")
    assert not (plain / "participants.csv").exists()
    assert set(metrics(plain)[0]).isdisjoint(COLUMNS)
    assert without(metrics(simulated), COLUMNS) == metrics(plain)
    assert {it.outcome for it in participants(simulated)} == {"reported"}
    for row in metrics(simulated)[1:]:
        times = [it.seconds for it in participants(simulated) if it.round == int(row["round"])]
        assert float(row["simulated_seconds_round"]) == max(times)


def test_who_reports_is_in_the_record(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train("rounds=6", *SIMULATED)
    rows, seconds = metrics(run), 0.0
    for row in rows:
        mine = [it for it in participants(run) if it.round == int(row["round"])]
        counts = {outcome: sum(it.outcome == outcome for it in mine) for outcome in ("reported", "dropped", "cut")}
        assert {f"clients/{name}": str(count) for name, count in counts.items()}.items() <= row.items()
        if row["round"] == "0":
            continue
        assert len(mine) == 6  # 1.5 x 4
        assert counts["reported"] <= 4
        assert int(row["train/examples"]) == sum(it.examples for it in mine if it.outcome == "reported")
        seconds += float(row["simulated_seconds_round"])
        assert float(row["simulated_seconds"]) == pytest.approx(seconds)
        assert int(row["broadcasted_bits_round"]) % 6 == 0
    assert {it.outcome for it in participants(run)} == {"reported", "dropped", "cut"}
    final = json.loads((run / "result.json").read_text())["final"]
    assert final["simulated_seconds"] == float(rows[-1]["simulated_seconds"])
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    curve = [event.tensor_proto.float_val[0] for event in events.Tensors("simulated_seconds")]
    assert curve == pytest.approx([float(row["simulated_seconds"]) for row in rows])


def test_threads_change_nothing(train):
    arguments = ["rounds=3", *SIMULATED, "aggregator=compression", "model.hidden_units=[40]"]
    one, two = (train(*arguments, f"runtime.threads={threads}") for threads in (1, 2))
    assert metrics(one) == metrics(two)
    assert participants(one) == participants(two)


@pytest.mark.parametrize("coding", [[], [*STREAMS, "distributor.stateful_clients=true"]])
def test_a_resumed_run_ends_as_an_unbroken_one(train, coding):
    run = train("rounds=5", "checkpoint.every=2", "checkpoint.keep=3", *SIMULATED, *coding)
    unbroken, everyone = metrics(run), participants(run)
    (run / "checkpoints" / "round_000005.npz").unlink()
    # Killed while it wrote.
    file = run / "participants.csv"
    file.write_bytes(file.read_bytes()[:-5])
    train("--resume", str(run), *(key for key in coding if key.startswith("model.")))
    assert record(run)["resumed"] == [4]
    assert metrics(run) == unbroken
    assert participants(run) == everyone


@pytest.mark.parametrize("coding", [["aggregator=mean"], ["aggregator=compression"], STREAMS])
def test_a_round_in_which_nobody_reports_leaves_the_state(train, coding):
    run = train("rounds=2", "sampling.deadline=1e-6", "eval.every=1", "model.hidden_units=[40]", *coding)
    first, *rounds = metrics(run)
    for row in rounds:
        assert (row["eval/loss"], row["eval/accuracy"]) == (first["eval/loss"], first["eval/accuracy"])
        assert row["train/loss"] == ""
        assert (row["clients/reported"], row["clients/cut"]) == ("0", "4")
        assert row["simulated_seconds_round"] == "1e-06"
        assert row["aggregated_bits"] == "0"
        # All of them were sent the model: the same bits as if they had reported.
        assert int(row["broadcasted_bits_round"]) > 0
    if coding == STREAMS:
        sent = metrics(train("rounds=1", "model.hidden_units=[40]", *coding))[1]
        for name in ("broadcasted_bits_round", "distributor/stream_bits"):
            assert rounds[0][name] == sent[name]


def test_training_goes_on_after_such_a_round(train):
    run = train("rounds=8", "sampling.dropout=0.7", "clients_per_round=2", "eval.every=1", "aggregator=compression")
    rows = metrics(run)
    nobody = [row["clients/reported"] == "0" for row in rows[1:]]
    assert any(nobody)
    assert not all(nobody)
    for before, row, empty in zip(rows, rows[1:], nobody, strict=False):
        assert (row["eval/loss"] == before["eval/loss"]) == empty
        assert math.isfinite(float(row["eval/loss"]))


def test_slow_messages_take_longer_and_small_ones_less(train):
    link = ["rounds=2", "model.hidden_units=[40]", "sampling.simulate=true", "sampling.upload_rate=1e4"]
    whole = float(metrics(train(*link))[-1]["simulated_seconds"])
    coded = float(metrics(train(*link, *STREAMS))[-1]["simulated_seconds"])
    assert coded < whole / 5


def test_compare_against_simulated_seconds(invoke):
    tiny_run = [*TINY, "eval.every=1", "rounds=2"]
    shares = ["sampling.overselect=1,1.5", "sampling.simulate=true", "hydra.sweep.dir=sweep"]
    assert invoke("train", "-m", *tiny_run, "seed=1,2", *shares).exit_code == 0
    ask = ["compare", "sweep", "--against", "simulated_seconds"]
    done = invoke(*ask, "--plot", "--html", "report.html", "--png", "curves.svg", "--target", "eval/accuracy=0")
    assert done.exit_code == 0, done.stderr
    assert "eval/accuracy against simulated seconds" in done.stdout
    assert "s simulated" in done.stdout
    assert "simulated seconds" in Path("curves.svg").read_text()
    assert "against simulated seconds" in Path("report.html").read_text()
    rows = list(csv.DictReader(invoke(*ask, "--csv").stdout.splitlines()))
    assert [row["sampling.overselect"] for row in rows] == ["1.0", "1.5"]
    for row, jobs in zip(rows, ((0, 2), (1, 3)), strict=True):
        final = [float(metrics(Path(f"sweep/{job}"))[-1]["simulated_seconds"]) for job in jobs]
        assert float(row["simulated_seconds"]) == pytest.approx(sum(final) / 2)

    assert invoke("train", *tiny_run, "hydra.run.dir=sweep/plain").exit_code == 0
    refused = invoke(*ask)
    assert refused.exit_code == 2
    error, hint = refused.stderr.splitlines()
    assert error == ("error: --against simulated_seconds: 1 of 5 runs simulated no time, such as sweep/plain")
    assert "sampling.simulate=true" in hint


def test_finetune_simulates_too(shakespeare, tiny):  # noqa: F811
    arguments = ["--pretrained", str(tiny[0]), *SMALL, *SIMULATED]
    unbroken = run_of(shakespeare("finetune", *arguments))
    run = run_of(shakespeare("finetune", *arguments, "rounds=1"))
    assert run_of(shakespeare("finetune", "--resume", str(run), "rounds=2")) == run
    assert metrics(run) == metrics(unbroken)
    assert participants(run) == participants(unbroken)
    assert float(metrics(run)[-1]["simulated_seconds"]) > 0


def test_more_clients_than_there_are_is_two_lines(invoke):
    result = invoke("train", "model=mlp", "sampling.overselect=2")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    assert "asks 20 clients a round: dataset=digits has 13 clients" in result.stderr
    assert "did you mean dropout?" in invoke("train", "sampling.dropuot=0.1").stderr
    assert invoke("train", "model=mlp", "rounds=0", "objective=simulated_seconds").exit_code == 2
