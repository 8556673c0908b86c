import pytest

from fedcli.errors import UsageError
from fedcli.report.measure import Target, arrival, best, final, seconds

NAN = float("nan")


def row(round, **metrics):
    return {"round": round, "aggregated_bits": round * 8, "broadcasted_bits": round, "seconds": 2.0, **metrics}


ROWS = [row(0, **{"eval/accuracy": 0.1}), row(1), row(2, **{"eval/accuracy": 0.9}), row(3, **{"eval/accuracy": NAN})]


def test_the_first_row_that_reaches_the_target():
    found = arrival(ROWS, Target("eval/accuracy", 0.9))
    assert found is not None
    assert (found.round, found.aggregated_bits, found.broadcasted_bits, found.seconds) == (2, 16, 2, 6.0)
    assert arrival(ROWS, Target("eval/accuracy", 0.91)) is None


def test_a_loss_is_reached_from_above():
    rows = [row(0, **{"eval/loss": 2.0}), row(1, **{"eval/loss": NAN}), row(2, **{"eval/loss": 0.5})]
    found = arrival(rows, Target("eval/loss", 1.0))
    assert found is not None
    assert found.round == 2
    assert best(rows, "eval/loss") == 0.5


def test_final_is_the_last_measured_even_if_not_finite_best_is_not():
    assert final(ROWS, "eval/accuracy") != final(ROWS, "eval/accuracy")
    assert best(ROWS, "eval/accuracy") == 0.9
    assert final(ROWS, "train/loss") is None
    assert best([], "eval/accuracy") is None


def test_a_time_that_is_missing_adds_nothing():
    assert seconds([{"round": 0, "seconds": None}, {"round": 1, "seconds": 1.5}]) == [0, 1.5]


@pytest.mark.parametrize("text", ["0.9", "eval/accuracy", "eval/accuracy=much", "=1", "eval/loss=nan"])
def test_a_target_of_another_form_is_refused(text):
    with pytest.raises(UsageError, match="METRIC=NUMBER"):
        Target.parse(text)
