import math

import pytest

from fedcli.config.objective import check_objective, objective_value
from fedcli.errors import ConfigError


@pytest.mark.parametrize("name", [
        "eval/accuracy", "train/loss", "aggregated_bits", "seconds", "aggregator/anything", "epsilon",
        "personal/accuracy_p10", "clients/loss_mean", "simulated_seconds", "eval/guessing_accuracy",
    ],
)  # fmt: skip
def test_metrics_are_accepted(name):
    check_objective(name)


@pytest.mark.parametrize(
    ("name", "measured", "hint"),
    [
        ("eval/acuracy", None, "did you mean eval/accuracy?"),
        ("", None, "metrics: "),
        ("aggregator/bit", ["aggregator/bits"], "did you mean aggregator/bits?"),
        # Known to be measured by no component of this run.
        ("epsilon", ["aggregator/bits"], "metrics: "),
        # result.json does not sum it up.
        ("aggregated_bits_round", None, "did you mean aggregated_bits?"),
        ("round", None, "metrics: "),
    ],
)
def test_what_is_no_metric_is_refused(name, measured, hint):
    with pytest.raises(ConfigError) as caught:
        check_objective(name, measured)
    assert f"objective={name}: no such metric" in caught.value.message
    assert hint in caught.value.hint


def test_the_value_is_the_final_one():
    result = {"final": {"eval/loss": 2, "bad": math.nan}, "aggregated_bits": 7, "rounds": 3}
    assert objective_value("eval/loss", result) == 2.0
    assert objective_value("aggregated_bits", result) == 7.0
    assert objective_value("bad", result) is None
    assert objective_value("eval/accuracy", result) is None
    # Not a metric.
    assert objective_value("rounds", result) is None
