from fedcli.report.curves import mean_curve
from fedcli.report.load import load_runs
from tests.report.synthetic import write_run


def test_the_mean_is_over_rounds_that_all_runs_measured(tmp_path):
    write_run(tmp_path / "a", seed=1, accuracies=(0.1, 0.2, 0.3))
    write_run(tmp_path / "b", seed=2, accuracies=(0.3, 0.4, "nan"))
    curve = mean_curve(load_runs([tmp_path]).runs, "eval/accuracy", "bits")
    assert curve.x == [0, 2**20]
    assert [round(value, 9) for value in curve.y] == [0.2, 0.3]
    assert [round(value, 6) for value in curve.spread] == [0.141421, 0.141421]


def test_one_seed_has_no_spread_and_no_values_no_curve(tmp_path):
    runs = load_runs([write_run(tmp_path / "a")]).runs
    curve = mean_curve(runs, "eval/accuracy", "seconds")
    assert (curve.x, curve.y, curve.spread) == ([0, 1, 2], [0.1, 0.5, 0.9], [])
    assert mean_curve(runs, "train/loss", "round").x == []
