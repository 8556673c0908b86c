"""The workers of a run, when Ray does not tell that something is lost. Ray and the clock are played here."""

from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from fedcli.runtime.cluster import workers as module
from fedcli.runtime.cluster.actor import versions
from fedcli.runtime.cluster.workers import LOOK_SECONDS, Workers
from fedcli.runtime.ray import Ray


class Silent:
    """A Ray whose workers start well and then never answer.

    Attributes:
        now: The clock.
        alive: Nodes.
        killed: Workers that were given up.
    """

    def __init__(self, nodes):
        self.now = 0.0
        self.alive = list(nodes)
        self.killed = []
        self._answers = {}
        self._places = iter([*nodes, *nodes])

    def put(self, value):
        return value

    def monotonic(self):
        return self.now

    def available_resources(self):
        return {"CPU": len(self.alive)}

    def nodes(self):
        told = {"Alive": True, "Resources": {"CPU": 1}, "NodeManagerAddress": "127.0.0.1"}
        return [{**told, "NodeID": node} for node in self.alive]

    def remote(self, **options):
        return lambda cls: SimpleNamespace(remote=lambda: Actor(self, next(self._places)))

    def answer(self, value):
        name = f"answer {len(self._answers)}"
        self._answers[name] = value
        return name

    def wait(self, references, num_returns, timeout):
        there = [reference for reference in references if reference in self._answers]
        if not there:
            self.now += timeout
        return there, []

    def get(self, reference):
        return self._answers[reference]

    def kill(self, actor):
        self.killed.append(actor.node)


class Actor:
    def __init__(self, ray, node):
        self._ray = ray
        self.node = node

    @property
    def introduce(self):
        told = {"host": f"host {self.node}", "node": self.node, "token": True, "tls": True}
        told |= {"open_agent": "", "versions": versions()}
        return SimpleNamespace(remote=lambda: self._ray.answer(told))

    @property
    def load(self):
        return SimpleNamespace(remote=lambda setup: self._ray.answer(None))

    @property
    def merge(self):
        return SimpleNamespace(options=lambda num_returns: SimpleNamespace(remote=lambda *sums: ("never", "body")))


@pytest.fixture
def ray(monkeypatch):
    played = Silent(["a", "b"])
    monkeypatch.setattr(module, "ray", played)
    monkeypatch.setattr(module, "time", played)
    return played


@pytest.fixture
def workers(ray):
    started = Workers(Ray(call_timeout=1800, start_timeout=60), b"", versions(), lambda message: None)
    started.start()
    return started


@pytest.mark.parametrize(("needs", "lost"), [(["a"], "a"), (["b"], "b")])
def test_a_call_that_needs_a_lost_node_is_given_up_soon(ray, workers, needs, lost):
    """Its own, or one that has what it works on: Ray may say nothing of either for as long as it likes."""
    slot = workers.idle()
    assert slot.node == "a"
    workers.call(slot, "merge", what="merging", tag="ours", needs=needs)
    ray.alive.remove(lost)
    (ended,) = workers.wait()
    assert (ended.call.tag, ended.lost) == ("ours", True)
    assert "no answer in time from host a" in str(ended.failure)
    assert ray.killed == ["a"]
    assert ray.now <= 4 * LOOK_SECONDS


def test_a_call_that_needs_nothing_lost_has_its_whole_time(ray, workers):
    workers.call(workers.idle(), "merge", what="merging", tag="ours", needs=["a"])
    ray.alive.remove("b")
    (ended,) = workers.wait()
    assert ended.lost
    assert ray.now >= 1800
