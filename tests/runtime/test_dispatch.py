"""One round on workers and nodes that fail at any moment, without Ray: what is played here is what Ray tells."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.errors import WorkerError
from fedcli.runtime.ray import Ray

pytest.importorskip("ray", reason="the extra ray is not installed")
from ray.exceptions import GetTimeoutError, ObjectLostError

from fedcli.runtime.cluster import dispatch
from fedcli.runtime.cluster.messages import Lost, Round, Summed

#: Two nodes with two workers each: a node that is lost is replaced by another.
NODES, WORKERS = 2, 2


class Cluster:
    """Ray and the workers, as `Dispatch` sees them: a sum is a nested tuple, which shows what was merged in what order.

    Args:
        chance: Draws a number below another.
        losses: How many workers, nodes and objects are lost.
    """

    def __init__(self, chance, losses):
        self._chance = chance
        self._losses = losses
        self._names = iter(range(10**6))
        self._alive = [next(self._names) for _ in range(NODES)]
        self._idle = [SimpleNamespace(node=node) for node in self._alive for _ in range(WORKERS)]
        self._running = []

    # What it is as `ray`.

    def put(self, value):
        return value

    def alive_nodes(self):
        return set(self._alive)

    def get(self, reference, timeout):
        assert timeout >= 0
        self._lose_something()
        if reference.node not in self._alive:
            raise GetTimeoutError if self._chance(2) else ObjectLostError("00", None, "")
        return reference.value

    # What it is as `Workers`.

    @property
    def ready(self):
        return [*self._idle, *(call.slot for call in self._running)]

    def idle(self):
        return self._idle[0] if self._idle else None

    def call(self, slot, method, *arguments, what, tag, needs=()):
        assert method == "train" or set(needs) == {part.node for part in arguments[1:]}
        self._idle.remove(slot)
        self._running.append(SimpleNamespace(slot=slot, method=method, arguments=arguments, tag=tag))

    def wait(self):
        assert self._running, "nothing runs, so nothing will ever happen"
        self._lose_something()
        call = self._running.pop(self._chance(len(self._running)))
        parts = call.arguments[1:] if call.method == "merge" else ()
        lacks = any(part.node not in self._alive for part in parts)
        # A worker to whom Ray does not tell that what it waits for is lost is given up.
        if call.slot.node not in self._alive or (lacks and self._chance(2)):
            self._idle.append(SimpleNamespace(node=self._alive[0]))
            return [self._ended(call, failure=WorkerError("it is given up"))]
        self._idle.append(call.slot)
        if lacks:
            return [self._ended(call, failure=ObjectLostError("00", None, ""))]
        value = tuple(part.value for part in parts) if parts else int(call.arguments[-1])
        call.body = SimpleNamespace(node=call.slot.node, value=value)
        return [self._ended(call, head=call.slot.node)]

    def _ended(self, call, head=None, failure=None):
        return SimpleNamespace(call=call, head=head, failure=failure)

    def _lose_something(self):
        """A node is lost, with all sums that lie on it, and another joins."""
        if not self._losses or self._chance(4):
            return
        self._losses -= 1
        dead = self._alive.pop(self._chance(NODES))
        self._alive.append(next(self._names))
        self._idle = [slot if slot.node != dead else SimpleNamespace(node=self._alive[-1]) for slot in self._idle]


def play(monkeypatch, chance, groups, group_size, losses, tries=10**6):
    cluster = Cluster(chance, losses)
    monkeypatch.setattr(dispatch, "ray", cluster)
    monkeypatch.setattr(dispatch, "alive_nodes", cluster.alive_nodes)
    told = []
    config = Ray(group_size=group_size, tries=tries)
    dispatch.Dispatch(
        Round(1, [], groups, (0, 0)), cluster, config, lambda index: str(index).encode(), told.append
    ).run()
    tops = [message.total for message in told if isinstance(message, Summed)]
    return tops, [message for message in told if isinstance(message, Lost)]


def flat(value):
    return [value] if isinstance(value, int) else [leaf for part in value for leaf in flat(part)]


@given(st.data(), st.integers(1, 30), st.integers(1, 4), st.integers(0, 6))
def test_what_is_lost_is_done_again_and_nothing_waits_for_ever(data, groups, group_size, losses):
    with pytest.MonkeyPatch.context() as monkeypatch:
        expected, none = play(monkeypatch, lambda n: 0 if n == 1 else n - 1, groups, group_size, 0)
        found, _ = play(monkeypatch, lambda n: data.draw(st.integers(0, n - 1)), groups, group_size, losses)
    assert flat(tuple(expected)) == list(range(groups))
    assert found == expected
    assert not none


def test_a_finished_sum_that_is_lost_before_it_is_fetched_is_done_again(monkeypatch):
    """Nothing runs at that moment: what is to be done again must be begun, not waited for."""
    # Nothing is lost while the only group runs; when its sum is fetched, the node that has it is lost, and it is told.
    moments = iter([1, 0, 0, 0])
    tops, lost = play(monkeypatch, lambda n: 0 if n == 1 else next(moments), 1, 2, 1)
    assert tops == [0]
    assert [message.what.partition(": ")[2].partition(":")[0] for message in lost] == ["group 1 is done again"]


def test_what_is_lost_too_often_is_given_up(monkeypatch):
    with pytest.raises(WorkerError, match=r"\(tried 2 times\)"):
        play(monkeypatch, lambda n: 0, 1, 2, 10, tries=2)
