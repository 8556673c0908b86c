"""`fedcli compare` praises in the direction that a metric declares, and not where it declares none."""

import pytest

from fedcli.errors import UsageError
from fedcli.report.comparison import compare, verdict
from fedcli.report.html import render_html
from fedcli.report.load import load_runs
from fedcli.report.measure import Target
from fedcli.report.results import Question
from fedcli.report.table import column, columns, ordered
from tests.report.synthetic import write_run

BETTER_IS_LESS = ["clients/accuracy_std", "personal/worsened", "aggregator/distortion", "aggregator/left_out"]


def write_metric(folder, metric, value, seed, aggregator):
    """Writes a run with another metric beside the common ones."""
    run = write_run(folder, aggregator=aggregator, seed=seed, accuracies=(0.1, 0.5))
    lines = (run / "metrics.csv").read_text().splitlines()
    (run / "metrics.csv").write_text(
        "\n".join([f"{lines[0]},{metric}", *(f"{line},{value!r}" for line in lines[1:])]) + "\n"
    )


def compared(tmp_path, metric, **keys):
    for seed in (1, 2, 3):
        write_metric(tmp_path / f"a{seed}", metric, 0.5 + seed / 1000, seed, "mean")
        write_metric(tmp_path / f"b{seed}", metric, 0.9 + seed / 1000, seed, "krum")
    return compare(load_runs([tmp_path]), Question(metric, **keys))


@pytest.mark.parametrize("metric", BETTER_IS_LESS)
def test_more_of_what_is_to_be_small_is_worse(tmp_path, metric):
    found = compared(tmp_path, metric)
    small, large = found.groups
    assert verdict(large, small, metric).startswith("worse than the baseline")
    assert (small.on_front, large.on_front) == (True, False)
    assert [group.name for group in ordered(found, "final")] == ["A", "B"]
    assert [group.name for group in ordered(found, "best")] == ["A", "B"]
    assert small.best[metric].mean == small.final[metric].mean
    html = render_html(found, found.groups, columns(found))
    assert f"best mean {metric}: A" in html
    target = compared(tmp_path, metric, target=Target(metric, 0.6))
    assert [group.arrivals.reached for group in target.groups] == [3, 0]


@pytest.mark.parametrize("metric", ["aggregator/sparsity", "train/examples_of_mine", "somebody/loss"])
def test_a_metric_without_a_direction_is_compared_without_praise(tmp_path, metric):
    found = compared(tmp_path, metric)
    one, other = found.groups
    assert verdict(other, one, metric) == "differs from the baseline: the 95 % interval does not contain 0"
    assert (one.on_front, other.on_front, one.best[metric].n) == (None, None, 0)
    names = [column.name for column in columns(found)]
    assert "best" not in names
    assert "front" not in names
    assert "final" in names
    assert column(found, "best").text(one) == "-"
    assert column(found, "front").fields(one) == [("pareto_front", None)]
    assert any(note.startswith(f"neither more nor less {metric} is known to be better") for note in found.notes)
    assert f"best mean {metric}" not in render_html(found, found.groups, columns(found))
    with pytest.raises(UsageError, match="neither more nor less"):
        compared(tmp_path, metric, target=Target(metric, 0.6))


def test_what_was_never_measured_is_not_called_not_finite(tmp_path):
    compared(tmp_path, "aggregator/left_out")
    write_run(tmp_path / "c", aggregator="dp", seed=1)
    write_run(tmp_path / "d", aggregator="robust", seed=1, accuracies=(0.1, "nan"))
    found = compare(load_runs([tmp_path]), Question())
    shown = column(found, "aggregator/left_out")
    assert shown.text(found.groups[2]) == "-"
    assert column(found, "final").text(found.groups[3]) == "not finite"
