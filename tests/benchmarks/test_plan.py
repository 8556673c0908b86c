import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sides.fedcli_train import replaced
from benchmarks.sides.protocol import ARRAYS, SETTINGS, Plan
from benchmarks.workload import Workload


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two rounds of two clients; the first client of round 1 is the second of round 2, in another order."""
    workload = Workload("emnist", "mlp", clients=2, rounds=2, batch_size=2)
    (tmp_path / SETTINGS).write_text(json.dumps(asdict(workload)))
    np.savez(
        tmp_path / ARRAYS,
        x=np.arange(6, dtype=np.float32)[:, None],
        y=np.arange(6, dtype=np.int32),
        order=np.array([2, 0, 1, 4, 3, 5, 0, 1, 2]),
        bounds=np.array([[0, 3], [3, 5], [5, 6], [6, 9]]),
        classes=np.array(6),
        num_weights=np.array(1),
        weight_0=np.zeros(3, np.float32),
        test_x=np.zeros((1, 1), np.float32),
        test_y=np.zeros(1, np.int32),
    )
    return Plan(tmp_path)


def test_a_client_has_its_examples_in_their_order(plan: Plan) -> None:
    x, y = plan.client(1, 0)
    assert y.tolist() == [2, 0, 1]
    assert x[:, 0].tolist() == [2, 0, 1]
    assert [plan.client(*which)[1].tolist() for which in ((1, 1), (2, 0), (2, 1))] == [[4, 3], [5], [0, 1, 2]]


def test_steps_count_the_last_batch_that_is_not_full(plan: Plan) -> None:
    assert plan.expected(1) == (3, 5)
    assert plan.expected(2) == (3, 4)


def test_initial_weights_and_sizes(plan: Plan) -> None:
    assert [weight.shape for weight in plan.weights] == [(3,)]
    assert (plan.rounds, plan.num_clients, plan.batch_size, plan.classes) == (2, 2, 2, 6)


def test_overrides_name_the_work() -> None:
    workload = Workload("shakespeare", "char_rnn", clients=2, rounds=3, max_batches=5, reset_after=False)
    overrides = workload.overrides(["A", "B"])
    assert "dataset.max_batches_per_client=5" in overrides
    assert "model.reset_after=false" in overrides
    assert "dataset.clients=[A,B]" in overrides
    assert "eval.every=3" in overrides


def test_an_option_takes_the_place_of_an_override() -> None:
    assert replaced(["a=1", "b=2"], ["a=3"]) == ["b=2", "a=3"]
