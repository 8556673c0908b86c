"""`runtime=ray` against `runtime=local`, with all parts well and with parts that fail."""

import importlib.util
import secrets
import shutil
import signal
import socket
import time
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest

from fedcli.attacks.noise import Noise
from fedcli.datasets.sqlite import ClientDatabase
from fedcli.distributors.quantize import Quantize
from fedcli.errors import FedcliError, WorkerError
from fedcli.models.mlp import MLP
from fedcli.runtime.local import LocalRuntime
from fedcli.runtime.ray import Ray
from tests.runtime.conftest import work
from tests.runtime.faulty import Fault, Faulty
from tests.runtime.ray_cluster import ROOT, running
from tests.runtime.strangers import STRANGERS, jobs_taken, listening

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")

#: Groups of 2 of 11 clients: a tree of three levels.
GROUP_SIZE, CLIENTS = 2, 11
#: They attack where the round is one with attackers.
ATTACKERS = (1, 6, 7)
MODELS = {"mean": MLP(hidden_units=(8,)), "compression": MLP(hidden_units=(600,))}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A folder for what only the nodes have: installed packages in `site`, data in `cache`."""
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def cluster(theirs):
    """A cluster of a head without workers and two nodes with one each, and the way into it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
        with running(2, PYTHONPATH=f"{theirs / 'site'}:{ROOT}", FEDCLI_CACHE=str(theirs / "cache")) as nodes:
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
        clients = [replace(work(c, round), read=dataset.client, attacks=c in ATTACKERS) for c in range(CLIENTS)]
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


def test_a_coded_broadcast_is_decoded_by_the_workers(cluster, on_ray, compiled):
    program = compiled(distributor=Quantize(bits=4, min_elements=200))
    assert "receive" in program.parts
    with LocalRuntime(2, GROUP_SIZE) as runtime:
        runtime.load(program)
        expected = rounds_of(runtime, program, "mean", Faulty(), 2)
    assert_same(on_ray(cluster.address, program, "mean", Faulty()), expected)


def test_attackers_and_a_robust_rule_are_those_of_the_local_runtime(cluster, on_ray, compiled):
    program = compiled("coordinate_median", attack=Noise())
    with LocalRuntime(2, GROUP_SIZE) as runtime:
        runtime.load(program)
        expected = rounds_of(runtime, program, "mean", Faulty(), 2)
    assert_same(on_ray(cluster.address, program, "mean", Faulty()), expected)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_changes_nothing(cluster, on_ray, compiled, expected, tmp_path, number):
    keys = {"call_timeout": 15} if number == signal.SIGSTOP else {}
    faults = Faulty(Fault("4", number, tmp_path / "marker"))
    found = on_ray(cluster.address, compiled("compression"), "compression", faults, **keys)
    assert_same(found, expected["compression"])
    assert found[2] == 1


class Broken(Faulty):
    def client(self, client_id):
        raise OSError("the disk is gone")


def test_a_call_is_tried_so_often_and_no_more(cluster, on_ray, compiled):
    with pytest.raises(WorkerError, match=r"training group \d failed on .*the disk is gone \(tried 2 times\)"):
        on_ray(cluster.address, compiled(), "mean", Broken(), tries=2)


def refused(on_ray, compiled, address, dataset=None):
    with pytest.raises(FedcliError) as refusal:
        on_ray(address, compiled(), "mean", dataset or Faulty())
    assert refusal.value.hint
    assert "\n" not in refusal.value.message + refusal.value.hint
    return refusal.value.message


def test_another_tensorflow_is_refused_with_both_named(cluster, on_ray, compiled, theirs):
    package = theirs / "site" / "tensorflow-9.8.7.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorflow\nVersion: 9.8.7\n")
    try:
        message = refused(on_ray, compiled, cluster.address)
    finally:
        shutil.rmtree(package)
    assert f"has TensorFlow 9.8.7, this machine TensorFlow {version('tensorflow')}" in message


class WithFile(Faulty):
    def __init__(self, path):
        super().__init__()
        self._database = ClientDatabase(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"shorter", "has 7 bytes, the file of the machine that runs fedcli 8"),
        (b"DATABASE", "differs from the file of the machine that runs fedcli"),
    ],
)
def test_a_node_without_the_data_is_refused(cluster, on_ray, compiled, theirs, tmp_path, monkeypatch, content, reason):
    (tmp_path / "data.sqlite").write_bytes(b"database")
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path))
    (theirs / "cache").mkdir(exist_ok=True)
    if content:
        (theirs / "cache" / "data.sqlite").write_bytes(content)
    message = refused(on_ray, compiled, cluster.address, WithFile(tmp_path / "data.sqlite"))
    assert str(theirs / "cache" / "data.sqlite") in message
    assert reason in message


def until_agents_run(folder, count):
    """Waits until the agents of so many nodes serve whatever they serve: they log it then that they watch Ray."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        logs = (folder / "session_latest" / "logs").glob("dashboard_agent*.log")
        if sum(log.read_text().count("raylet pid is") for log in logs) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("the agents do not run")


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_cannot_run_programs_on_a_local_ray(on_ray, compiled, tmp_path, monkeypatch, stranger):
    monkeypatch.setenv("MARK", mark := secrets.token_hex(16))
    config = Ray(address="local", workers=1, start_timeout=120)
    with config.start(tmp_path / "run.log") as runtime:
        runtime.load(compiled(), Faulty())
        until_agents_run(runtime._driver.folder / "r", 1)
        addresses = listening(mark)
        assert {address for address, _ in addresses} == {"127.0.0.1"}
        assert not jobs_taken(stranger, addresses)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_cannot_run_programs_on_a_cluster(stranger, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    monkeypatch.setenv("MARK", mark := secrets.token_hex(16))
    with running(1) as nodes:
        until_agents_run(nodes.folder / "ray", 2)
        addresses = [("127.0.0.1" if host in ("0.0.0.0", "::") else host, port) for host, port in listening(mark)]
        assert not jobs_taken(stranger, addresses)


def test_an_agent_that_takes_jobs_without_the_token_is_warned_of(on_ray, compiled, tmp_path, monkeypatch, caplog):
    """And what the two tests above would find is found: Ray before 2.54 runs the stranger's program."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    monkeypatch.setenv("MARK", mark := secrets.token_hex(16))
    with running() as nodes:
        nodes.add(agent_port=0)
        until_agents_run(nodes.folder / "ray", 2)
        on_ray(nodes.address, compiled(), "mean", Faulty(), rounds=1)
        addresses = [("127.0.0.1" if host in ("0.0.0.0", "::") else host, port) for host, port in listening(mark)]
        taken = jobs_taken("another user", addresses)
    if tuple(map(int, version("ray").split(".")[:2])) >= (2, 54):
        assert not taken
        assert "without the token" not in caplog.text
    else:
        assert taken
        assert "without the token" in caplog.text
        assert any(f"127.0.0.2:{port}" in caplog.text for port, *_ in taken)


def test_no_such_address_is_refused(on_ray, compiled):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert "nobody answers there (Connection refused)" in refused(on_ray, compiled, f"127.0.0.1:{port}")


@pytest.mark.parametrize(("mode", "told"), [("token", "a wrong token"), ("disabled", "no token")])
def test_a_wrong_token_is_refused(cluster, on_ray, compiled, monkeypatch, mode, told):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    assert told in refused(on_ray, compiled, cluster.address)


def test_a_node_that_dies_changes_nothing(cluster, on_ray, compiled, expected, tmp_path):
    faults = Faulty(Fault("6", signal.SIGKILL, tmp_path / "marker", to_parent=True))
    try:
        found = on_ray(cluster.address, compiled("compression"), "compression", faults)
    finally:
        cluster.add()
    assert_same(found, expected["compression"])
    assert found[2] >= 1
