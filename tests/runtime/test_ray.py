"""`runtime=ray` against `runtime=local`, with all parts well and with parts that fail."""

import importlib.util
import secrets
import signal
from dataclasses import replace

import numpy as np
import pytest

from fedcli.models.mlp import MLP
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.ray import Ray
from tests.runtime.conftest import work
from tests.runtime.faulty import Fault, Faulty
from tests.runtime.ray_cluster import running

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")

#: Groups of 2 of 11 clients: a tree of three levels.
GROUP_SIZE, CLIENTS = 2, 11
MODELS = {"mean": MLP(hidden_units=(8,)), "compression": MLP(hidden_units=(600,))}


@pytest.fixture(scope="module")
def cluster():
    """A cluster of a head without workers and two nodes with one each, and the way into it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
        with running(2) as nodes:
            yield nodes


@pytest.fixture
def on_ray(tmp_path):
    """Plays rounds on Ray: (address, compiled, aggregator, data set, config keys) to state, metrics and losses."""

    def run(address, program, aggregator, dataset, rounds=2, **keys):
        config = Ray(address=address, group_size=GROUP_SIZE, start_timeout=60, **keys)
        with config.start(tmp_path / "run.log") as runtime:
            runtime.load(program, dataset)
            played = rounds_of(runtime, program, aggregator, dataset, rounds)
            return *played, runtime.losses

    return run


def rounds_of(runtime, program, aggregator, dataset, rounds):
    from fedcli.training.weights import initial_weights, with_weights

    state = with_weights(runtime.initial_state((0, 0)), program, initial_weights(MODELS[aggregator], dataset.spec, 0))
    metrics = []
    for round in range(1, rounds + 1):
        clients = [replace(work(c, round), read=dataset.client) for c in range(CLIENTS)]
        result = runtime.run_round(state, clients, (0, round))
        state = result.state
        metrics.append({name: np.asarray(value).item() for name, value in result.metrics.items()})
    return state, metrics


@pytest.fixture(scope="module")
def expected(compiled):
    """What `runtime=local` gives, by aggregator."""

    def play(aggregator):
        with LocalRuntime(2, GROUP_SIZE) as runtime:
            runtime.load(compiled(aggregator))
            return rounds_of(runtime, compiled(aggregator), aggregator, Faulty(), 2)

    return {aggregator: play(aggregator) for aggregator in MODELS}


def assert_same(found, expected):
    state, metrics, *_ = found
    assert metrics == expected[1]
    for ours, theirs in zip(state, expected[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("aggregator", "keys"),
    [
        ("mean", {}),
        ("compression", {"data": "ship"}),
        ("compression", {"workers": 1}),
    ],
)
def test_numbers_are_those_of_the_local_runtime(cluster, on_ray, compiled, expected, aggregator, keys):
    """On two nodes and on one; and the workers import no TFF, which the data set would refuse."""
    found = on_ray(cluster.address, compiled(aggregator), aggregator, Faulty(), **keys)
    assert_same(found, expected[aggregator])
    assert found[2] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_changes_nothing(cluster, on_ray, compiled, expected, tmp_path, number):
    keys = {"call_timeout": 15} if number == signal.SIGSTOP else {}
    faults = Faulty(Fault("4", number, tmp_path / "marker"))
    found = on_ray(cluster.address, compiled("compression"), "compression", faults, **keys)
    assert_same(found, expected["compression"])
    assert found[2] == 1
