from pathlib import Path

import pytest

from tests.aggregators.sizes import bits_sent, fields_with_problems
from tests.conftest import metrics

ADAPTIVE = [
    "aggregator=adaptive",
    "aggregator.bits_per_element=0.5",
    "aggregator.min_elements=1000",
    "model=mlp",
    "model.hidden_units=[16]",
    "client_optimizer.learning_rate=0.02",
    "clients_per_round=3",
    "eval.every=3",
    "eval.max_examples=50",
]


def test_bits_that_are_known_before_are_the_header_only():
    assert bits_sent("adaptive", [400, 100]) == (4 * 32, 32)


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ({"bits_per_element": None}, ["distortion"]),
        ({"distortion": 0.5}, ["distortion"]),
        ({"bits_per_element": 0}, ["bits_per_element"]),
        ({"bits_per_element": None, "distortion": 1.0}, ["distortion"]),
        ({"rounding": "dithered"}, ["rounding"]),
        ({"bits_per_element": None, "distortion": 0.3, "rotate": True}, []),
    ],
)
def test_problems_name_the_fields(keys, fields):
    assert fields_with_problems("adaptive", **keys) == fields


def test_a_run_resumed_in_the_middle_gives_the_same_curve(invoke):
    """The step is the aggregator's state: a run that lost it would begin with the first round's step again."""

    def train(*arguments):
        result = invoke("train", *arguments)
        assert result.exit_code == 0, result.stderr
        return Path(result.stderr.split("run:")[1].split()[0])

    unbroken = train("rounds=6", *ADAPTIVE)
    resumed = train("rounds=3", *ADAPTIVE)
    assert train("--resume", str(resumed), "rounds=6") == resumed
    assert metrics(resumed) == metrics(unbroken)
    assert len({row["aggregator/stream_bits"] for row in metrics(unbroken)}) == 7
