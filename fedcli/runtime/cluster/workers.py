"""The workers of a run: started, checked, called with a deadline, and replaced when they are lost."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import ObjectLostError, RayError, RayTaskError

from fedcli.errors import FedcliError, WorkerError
from fedcli.runtime.cluster import actor
from fedcli.runtime.cluster.messages import Versions, Warned
from fedcli.runtime.cluster.security import Secured, warning
from fedcli.runtime.cluster.settings import ClusterSettings

_log = logging.getLogger(__name__)

# A node may have no fedcli, or another: it is to tell so, not to fail at reading what it got.
cloudpickle.register_pickle_by_value(actor)

_UNSECURED = Secured(token=False, tls=False)
#: Marks the calls that make a worker ready.
_START = object()
#: How often to look whether workers are to be replaced, and whether what is waited for can still come.
LOOK_SECONDS = 5.0
#: What Ray has to tell that a call failed, once a node is gone that the call needs. It does not always tell:
#: https://github.com/ray-project/ray/issues/47606
_TELL_SECONDS = 10.0


@dataclass(eq=False)
class Slot:
    """One worker.

    Attributes:
        actor: Ray's handle.
        host: Its node's name, once it has introduced itself.
        node: Ray's id of the node, likewise.
        ready: Whether it has loaded what it needs.
        secured: Whether Ray on its node asks for a token, and whether it encrypts.
    """

    actor: Any
    host: str = "a node"
    node: str = ""
    ready: bool = False
    secured: Secured = _UNSECURED


@dataclass(eq=False)
class Call:
    """What a worker was asked for.

    Attributes:
        slot: The worker.
        what: What for, for the log.
        tag: The caller's own.
        body: The large part of the answer, which stays where it is until somebody asks for it; None if there is none.
        deadline: When the worker is given up, by `time.monotonic`.
        needs: Ray's ids of the nodes that have what the worker works on.
    """

    slot: Slot
    what: str
    tag: Any
    body: Any
    deadline: float
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ended:
    """A call that is over.

    Attributes:
        call: The call.
        head: The small part of the answer; None if the call failed.
        failure: Why it failed, None if it did not.
        lost: Whether it failed because the worker is lost.
    """

    call: Call
    head: Any = None
    failure: Exception | None = None
    lost: bool = False


class Workers:
    """The workers.

    Args:
        config: How many, and how long to wait.
        setup: A pickled `Setup`.
        versions: Those of this machine.
        tell: Takes what the user should know.
    """

    def __init__(
        self, config: ClusterSettings, setup: bytes, versions: Versions, tell: Callable[[Warned], None]
    ) -> None:
        self._config = config
        self._setup = ray.put(setup)
        self._versions = versions
        self._tell = tell
        self._slots: list[Slot] = []
        self._idle: deque[Slot] = deque()
        self._calls: dict[Any, Call] = {}
        self._wanted = 0
        self._failed_starts = 0
        self._reason = "Ray found no place for one"

    @property
    def ready(self) -> list[Slot]:
        """Those that can work, or do."""
        return [slot for slot in self._slots if slot.ready]

    def start(self) -> None:
        """Starts workers and waits until they are ready.

        Raises:
            FedcliError: A node may not be used, because of its versions or its data; or no worker starts.
        """
        self.grow()
        end = time.monotonic() + self._config.start_timeout
        while any(not slot.ready for slot in self._slots) and time.monotonic() < end:
            for ended in self._collect(min(end, time.monotonic() + LOOK_SECONDS)):
                if ended.failure is not None and not ended.lost:
                    raise ended.failure
            self._replace()
        if not self.ready:
            raise self._nobody()
        if len(self.ready) < self._wanted:
            self._tell(Warned(f"{len(self.ready)} of {self._wanted} Ray workers started: {self._reason}"))
        if text := warning(ray.nodes(), [slot.secured for slot in self.ready]):
            self._tell(Warned(text))

    def grow(self) -> None:
        """Starts workers where there is room, such as on nodes that have joined, or come back."""
        self._failed_starts = 0
        self._wanted = max(1, len(self._slots) + self._room())
        if self._config.workers is not None:
            self._wanted = min(self._wanted, self._config.workers)
        self._replace()

    def idle(self) -> Slot | None:
        """Returns a worker that has nothing to do; the one that has waited for longest."""
        return self._idle[0] if self._idle else None

    def call(
        self, slot: Slot, method: str, *arguments: Any, what: str, tag: Any = None, needs: Iterable[str] = ()
    ) -> Call:
        """Asks an idle worker for something whose answer has a head and a body; see `Call` for what is told of it."""
        self._idle.remove(slot)
        head, body = getattr(slot.actor, method).options(num_returns=2).remote(*arguments)
        end = time.monotonic() + self._config.call_timeout
        return self._await(Call(slot, what, tag, body, end, frozenset(needs)), head)

    def wait(self) -> list[Ended]:
        """Waits until a call is over or a worker has become idle, and returns the calls that are over.

        Raises:
            WorkerError: No worker is left, and none can be started.
        """
        while True:
            before = len(self._idle)
            ended = self._collect(time.monotonic() + LOOK_SECONDS)
            for refusal in [one for one in ended if one.call.tag is _START and not one.lost]:
                self._tell(Warned(f"a worker cannot be used: {refusal.failure}"))
            ended = [one for one in ended if one.call.tag is not _START]
            self._replace()
            if ended or len(self._idle) > before:
                return ended
            if not self._calls:
                raise self._nobody()

    def lose(self, slot: Slot, reason: str) -> None:
        """Gives a worker up."""
        if slot not in self._slots:
            return
        self._slots.remove(slot)
        if slot in self._idle:
            self._idle.remove(slot)
        if not slot.ready:
            self._failed_starts += 1
        self._reason = reason
        # Ray's news of its death may be wrong, or it may hang: it must not go on beside the one that replaces it.
        with suppress(RayError, ValueError):
            ray.kill(slot.actor)

    def _collect(self, until: float) -> list[Ended]:
        """Waits for calls, at most until a time, and returns those that are over; of starting workers, the failures."""
        if not self._calls:
            return []
        end = min([until, *(call.deadline for call in self._calls.values())])
        # The second look takes all the others that are there too.
        ray.wait(list(self._calls), num_returns=1, timeout=max(0.0, end - time.monotonic()))
        there, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        if not there:
            self._hasten()
        ended = [self._settle(head) for head in there]
        now = time.monotonic()
        for head, call in list(self._calls.items()):
            if call.deadline <= now:
                del self._calls[head]
                ended.append(self._lost(call, f"no answer in time from {call.slot.host}"))
        return [one for one in ended if one is not None]

    def _hasten(self) -> None:
        """Gives calls that need a node that is gone little time from now on."""
        alive = alive_nodes()
        soon = time.monotonic() + _TELL_SECONDS
        for call in self._calls.values():
            if not ({call.slot.node, *call.needs} - {""}) <= alive:
                call.deadline = min(call.deadline, soon)

    def _settle(self, head: Any) -> Ended | None:
        """Takes an answer that has arrived; None for a worker that has taken a step to being ready."""
        call = self._calls.pop(head)
        try:
            answer = ray.get(head)
        except RayTaskError as error:  # the worker is well, what it did was not
            return self._failed(call, error)
        except ObjectLostError as error:  # what it was to work on is gone
            self._idle.append(call.slot)
            return Ended(call, failure=error, lost=True)
        except RayError as error:
            return self._lost(call, f"{call.slot.host}: {brief(error)}")
        if call.tag is not _START:
            self._idle.append(call.slot)
            return Ended(call, answer)
        if answer is not None:
            return self._greet(call, answer)
        call.slot.ready = True
        self._failed_starts = 0
        self._idle.append(call.slot)
        return None

    def _greet(self, call: Call, introduction: Mapping[str, Any]) -> Ended | None:
        """Checks a worker that has introduced itself, and lets it load what it needs."""
        slot = call.slot
        slot.host, slot.node = introduction["host"], introduction["node"]
        slot.secured = Secured(introduction["token"], introduction["tls"], introduction["open_agent"])
        theirs: Versions = introduction["versions"]
        differing = [name for name, version in self._versions.items() if theirs[name] != version]
        if differing:
            refusal = WorkerError(
                f"node {slot.host} has {', '.join(f'{name} {theirs[name]}' for name in differing)}, "
                f"this machine {', '.join(f'{name} {self._versions[name]}' for name in differing)}",
                "install the same versions of Python, TensorFlow and fedcli on every node",
            )
            self.lose(slot, refusal.message)
            return Ended(call, failure=refusal)
        self._await(self._starting(slot, "loading the round"), slot.actor.load.remote(self._setup))
        return None

    def _failed(self, call: Call, error: RayTaskError) -> Ended:
        """Makes of what a worker raised what fedcli raises."""
        cause = error.cause if isinstance(error.cause, Exception) else error
        if isinstance(cause, ObjectLostError):
            self._idle.append(call.slot)
            return Ended(call, failure=cause, lost=True)
        failure = (
            cause
            if isinstance(cause, FedcliError)
            else WorkerError(
                f"{call.what} failed on {call.slot.host}: {brief(cause)}",
                "the worker's own account is in run.log; try the same config with runtime=local",
            )
        )
        _log.warning("%s failed on %s: %s", call.what, call.slot.host, error)
        if call.tag is _START:
            self.lose(call.slot, str(failure))
        else:
            self._idle.append(call.slot)
        return Ended(call, failure=failure)

    def _lost(self, call: Call, reason: str) -> Ended:
        self.lose(call.slot, reason)
        return Ended(call, failure=WorkerError(f"{call.what}: {reason}"), lost=True)

    def _await(self, call: Call, head: Any) -> Call:
        self._calls[head] = call
        return call

    def _starting(self, slot: Slot, what: str) -> Call:
        return Call(slot, what, _START, None, time.monotonic() + self._config.start_timeout)

    def _replace(self) -> None:
        """Starts a worker for each that is missing, unless starting has failed again and again."""
        config = self._config
        while len(self._slots) < self._wanted and self._failed_starts < config.tries * self._wanted:
            remote = ray.remote(num_cpus=config.num_cpus, num_gpus=config.num_gpus, max_restarts=0)(actor.Actor)
            slot = Slot(remote.remote())
            self._slots.append(slot)
            self._await(self._starting(slot, "starting a worker"), slot.actor.introduce.remote())

    def _room(self) -> int:
        """Counts the workers that there is room for now."""
        needs = {"CPU": self._config.num_cpus, "GPU": self._config.num_gpus}
        needs = {name: need for name, need in needs.items() if need}
        free = ray.available_resources()
        # A worker does not span nodes; what is free on each of them Ray does not tell, only the whole of it.
        totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return min(_fitting(needs, free), sum(_fitting(needs, total) for total in totals))

    def _nobody(self) -> WorkerError:
        return WorkerError(
            f"no Ray worker is left: {self._reason}", "see run.log, and `ray status` on the head of the cluster"
        )


def alive_nodes() -> set[str]:
    """Returns Ray's ids of the nodes that it takes to be alive."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _fitting(needs: Mapping[str, float], there: Mapping[str, float]) -> int:
    # Ray counts in ten-thousandths.
    return min(int(there.get(name, 0.0) / need + 1e-4) for name, need in needs.items())


def brief(error: BaseException) -> str:
    """Returns the first line of what an error says, and its kind unless it is one of fedcli's."""
    if isinstance(error, FedcliError):
        return error.message
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}".rstrip(": ")[:300]
