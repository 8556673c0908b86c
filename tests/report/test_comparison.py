import pytest

from fedcli.errors import UsageError
from fedcli.report.comparison import compare, letters, verdict
from fedcli.report.load import load_runs
from fedcli.report.measure import Target
from fedcli.report.results import Question
from tests.report.synthetic import write_fifty, write_run

METRIC = "eval/accuracy"


def answer(folder, **question):
    return compare(load_runs([folder]), Question(**question))


def two_groups(folder):
    for seed, end in ((1, 0.90), (2, 0.92), (3, 0.94)):
        write_run(folder / f"mean-{seed}", seed=seed, accuracies=(0.1, 0.5, end), bits=2**22)
        write_run(folder / f"small-{seed}", aggregator="small", seed=seed, accuracies=(0.1, 0.4, end - 0.3), bits=2**20)


def test_fifty_folders_come_to_two_groups(tmp_path):
    write_fifty(tmp_path, rounds=10)
    found = answer(tmp_path, baseline=[("aggregator", "mean")])
    assert [(result.label, result.seeds) for result in found.groups] == [
        ("aggregator=compression", 20),
        ("aggregator=mean", 20),
    ]
    assert found.keys == ["aggregator.name"]
    compression, mean = found.groups
    assert found.baseline is mean
    assert mean.final[METRIC].mean == pytest.approx(0.9 + 0.001 * 9.5)
    assert mean.final[METRIC].n == 20
    assert compression.aggregated_ratio == 4
    assert compression.on_front
    assert len(found.not_counted) == 8
    assert len(found.foreign) == 1


def test_groups_means_ratios_and_differences(tmp_path):
    two_groups(tmp_path)
    found = answer(tmp_path, target=Target(METRIC, 0.45))
    mean, small = found.groups
    assert (mean.name, mean.group.seeds) == ("A", [1, 2, 3])
    assert mean.final[METRIC].mean == pytest.approx(0.92)
    assert mean.final[METRIC].spread == pytest.approx(0.02)
    assert mean.aggregated_bits.mean == 2**23
    assert small.aggregated_ratio == 4
    assert small.broadcasted_ratio == 1
    assert mean.difference is None
    assert small.difference is not None
    # Welch with equal spreads of 0.02 and 3 seeds each: t(4) = 2.776, times 0.02 * sqrt(2 / 3).
    assert small.difference.low == pytest.approx(-0.3 - 2.776445 * 0.02 * (2 / 3) ** 0.5, abs=1e-6)
    assert "worse than the baseline" in verdict(small, mean, METRIC)
    assert (mean.on_front, small.on_front) == (True, True)
    assert mean.arrivals is not None
    assert (mean.arrivals.reached, mean.arrivals.round.mean) == (3, 1)
    assert small.arrivals is not None
    assert small.arrivals.round.mean == 2
    assert small.arrivals.aggregated_bits.mean == 2**21


def test_one_seed_is_said_to_prove_nothing(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", aggregator="other")
    found = answer(tmp_path)
    first, second = found.groups
    assert "one seed proves nothing" in verdict(second, first, METRIC)
    assert any("one seed proves nothing" in note for note in found.notes)


def test_the_same_seed_twice_counts_once(tmp_path):
    write_run(tmp_path / "a", accuracies=(0.1, 0.1, 0.2), started="2026-11-21T09:00:00Z")
    write_run(tmp_path / "b", accuracies=(0.1, 0.1, 0.3), started="2026-11-21T08:00:00Z")
    found = answer(tmp_path)
    [group] = found.groups
    assert group.final[METRIC].mean == 0.2
    [repeat] = found.not_counted
    assert (repeat.folder.name, repeat.status) == ("b", "repeat")


def test_a_run_that_diverged_is_said_not_averaged(tmp_path):
    write_run(tmp_path / "a", seed=1, accuracies=(0.1, 0.5, 0.8))
    write_run(tmp_path / "b", seed=2, accuracies=(0.1, 0.5, "nan"))
    found = answer(tmp_path)
    [group] = found.groups
    assert (group.final[METRIC].mean, group.final[METRIC].missing) == (0.8, 1)
    assert any("1 of 2 runs ended with no finite number for eval/accuracy" in note for note in found.notes)


def test_different_lengths_in_a_group_are_said(tmp_path):
    write_run(tmp_path / "a", seed=1)
    longer = write_run(tmp_path / "b", seed=2, accuracies=(0.1, 0.5, 0.9, 0.95))
    config = (longer / "config.yaml").read_text()
    (longer / "config.yaml").write_text(config.replace("rounds: 3", "rounds: 2"))
    assert any("different lengths, 2 to 3 rounds" in note for note in answer(tmp_path).notes)


def test_a_loss_is_better_when_smaller(tmp_path):
    two_groups(tmp_path)
    mean, small = answer(tmp_path, metric="eval/loss").groups
    assert "worse" in verdict(small, mean, "eval/loss")
    assert (mean.on_front, small.on_front) == (True, True)


def test_only_broken_runs_are_an_answer_too(tmp_path):
    write_run(tmp_path / "a", status="failed")
    found = answer(tmp_path)
    assert (found.groups, found.baseline) == ([], None)
    assert "no completed run" in found.notes[0]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"metric": "eval/acuracy"}, "no run has this metric"),
        ({"target": Target("eval/los", 1.0)}, "no run has this metric"),
        ({"baseline": [("agregator", "mean")]}, "no run has the key"),
        ({"baseline": [("aggregator", "meen")]}, "no group has this value"),
        ({"baseline": [("rounds", "2")]}, "2 groups fit"),
    ],
)
def test_what_does_not_exist_is_refused_with_a_hint(tmp_path, question, message):
    two_groups(tmp_path)
    with pytest.raises(UsageError, match=message) as error:
        answer(tmp_path, **question)
    assert error.value.hint


def test_names_of_groups():
    assert [letters(index) for index in (0, 25, 26, 51, 52)] == ["A", "Z", "AA", "AZ", "BA"]


def test_csv_has_neither_formulas_nor_escape_sequences(tmp_path):
    from fedcli.report.table import as_csv, columns

    for seed, name in ((1, '"=1+1"'), (2, '"\\e[31m"')):
        write_run(tmp_path / str(seed), aggregator=name, seed=seed)
    found = answer(tmp_path)
    text = as_csv(columns(found), found.groups)
    assert "'=1+1" in text
    assert ",=1+1" not in text
    assert "\x1b" not in text
    assert "\\x1b[31m" in text
