"""What compare says of the runs' privacy."""

import dataclasses

from fedcli.report.comparison import compare
from fedcli.report.document import document
from fedcli.report.load import load_runs
from fedcli.report.results import Question
from fedcli.report.table import as_csv, columns, default_columns, ordered
from tests.report.synthetic import write_run

STATED = {
    "epsilon": 2.5,
    "delta": 1e-5,
    "neighbours": "replace-one",
    "clients": 100,
    "clients_per_round": 10,
    "sampling": "fixed",
    "accountant": "dp-accounting",
    "ended": None,
}
NOT_COVERED = {"epsilon": None, "not_covered": "clients are lost"}


def answer(folder):
    return compare(load_runs([folder]), Question())


def table(comparison):
    chosen = columns(comparison, ["aggregator", "epsilon"])
    return [[column.text(result) for column in chosen] for result in comparison.groups]


def test_epsilon_is_a_column_beside_the_result(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path / f"dp-{seed}", aggregator="dp", seed=seed, privacy=STATED)
        write_run(tmp_path / f"lossy-{seed}", aggregator="dp_lossy", seed=seed, privacy=NOT_COVERED)
        write_run(tmp_path / f"mean-{seed}", seed=seed)
    found = answer(tmp_path)
    assert table(found) == [["dp", "2.5000"], ["dp_lossy", "not covered"], ["mean", "-"]]
    assert "epsilon" in default_columns(found)
    assert "epsilon is that of the model at delta 1e-05; neighbours differ in a client (replace-one)" in found.notes
    assert "B (aggregator=dp_lossy): no epsilon is stated: clients are lost" in found.notes
    assert [result.name for result in ordered(found, "epsilon")] == ["A", "B", "C"]
    assert as_csv(columns(found, ["epsilon"]), found.groups).splitlines() == ["epsilon", "2.5", '""', '""']
    runs = document(found, found.groups)["groups"][0]["runs"]
    assert [run["privacy"]["epsilon"] for run in runs] == [2.5, 2.5]


def test_epsilons_that_do_not_mean_the_same_are_told_apart(tmp_path):
    write_run(tmp_path / "a", aggregator="dp", privacy=STATED)
    ended = {**STATED, "neighbours": "add-or-remove-one", "ended": "after round 2 of 9: the next would exceed"}
    write_run(tmp_path / "b", aggregator="ddp", privacy=ended)
    notes = answer(tmp_path).notes
    (meaning,) = (note for note in notes if "do not mean the same" in note)
    assert "A: epsilon is that of the model at delta 1e-05; neighbours differ in a client (replace-one)" in meaning
    assert "B: " in meaning
    assert "B (aggregator=ddp): ended after round 2 of 9: the next would exceed" in notes


def test_runs_without_noise_say_nothing(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", aggregator="compression")
    found = answer(tmp_path)
    assert "epsilon" not in default_columns(found)
    assert not any("epsilon" in note for note in found.notes)
    assert dataclasses.is_dataclass(found)
