"""`runtime=tff`: TFF's own C++ worker, a child process. Slower; the reference that `local` is tested against.

It executes the `next` of the process as TFF does. Where clients draw random numbers (compression's rounding),
which TFF cannot seed, it executes TFF's MapReduce form instead, whose `work` then takes the keys beside its data.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import FederatedDataset
from fedcli.ranges import Timeout
from fedcli.runtime import runtimes
from fedcli.runtime.base import Runtime, RuntimeConfig
from fedcli.runtime.engine.communication import ATTACKS, REPORTS
from fedcli.runtime.engine.worker import TFFWorker
from fedcli.runtime.round import ClientWork, RoundResult, State

if TYPE_CHECKING:
    from fedcli.runtime.engine.compiled import CompiledRound

_log = logging.getLogger(__name__)


@runtimes.register("tff")
@dataclass(frozen=True)
class TFF(RuntimeConfig):
    """Executes rounds by TFF's worker.

    Attributes:
        start_timeout: Seconds that the worker may take to start.
    """

    needs_process = True
    sums_securely = False

    name: str = "tff"
    start_timeout: Timeout = 60.0

    def start(self, log_path: Path) -> TFFRuntime:
        """Starts the worker; it gets ready while TensorFlow is imported."""
        return TFFRuntime(TFFWorker(log_path).start(), self.start_timeout)


class TFFRuntime(Runtime):
    """Executes the rounds of one compiled computation by TFF's worker.

    Args:
        worker: The started worker.
        start_timeout: Seconds to wait until it is ready.
    """

    def __init__(self, worker: TFFWorker, start_timeout: float) -> None:
        self._worker = worker
        self._start_timeout = start_timeout

    def load(self, compiled: CompiledRound, dataset: FederatedDataset | None = None) -> None:
        """Takes the computation whose rounds are to be run; see the base class."""
        from fedcli.runtime.engine import randomness
        from fedcli.runtime.engine.seeded_form import seeded_next

        self._worker.wait_ready(self._start_timeout)
        self._worker.install()
        source = compiled.source
        if source is None:
            raise ValueError("TFF's worker executes the process itself, which a round from the cache does not have")
        self._compiled, self._source = compiled, source
        self._keys = len(randomness.random_operations(compiled.parts["work"].graph))
        self._next = seeded_next(compiled, source.form) if self._keys else source.process.next
        for name, part in compiled.parts.items():
            if name != "work" and randomness.random_operations(part.graph):
                _log.warning("runtime=tff does not seed the random numbers that the server draws in %s", name)

    def initial_state(self, seed: tuple[int, int]) -> State:
        """Computes the server's state before the first round. Its random numbers are not seeded."""
        with self._worker.translate_errors():
            return _flat(self._source.process.initialize())

    def run_round(self, state: State, clients: Sequence[ClientWork], seed: tuple[int, int]) -> RoundResult:
        """Runs one round; see the base class. All clients' examples are in memory at once."""
        result = self._run(state, clients)
        if self._compiled.reports is None or _reports(result) == len(clients):
            return result
        # TFF executes a round as a whole: to learn who does not report, each client gets a round of its own.
        alone = [(client, _reports(self._run(state, [client])) > 0) for client in clients]
        left_out = [client.client for client, reports in alone if not reports]
        return dataclasses.replace(self._run(state, [one for one, reports in alone if reports]), left_out=left_out)

    def _run(self, state: State, clients: Sequence[ClientWork]) -> RoundResult:
        """Runs one round, in which clients that do not report count as TFF counts them."""
        packed = _pack(self._source.form.type_signature.parameter[0].member, iter(state))
        inputs = [self._input(client) for client in clients]
        with self._worker.translate_errors():
            result = _flat(self._next(packed, inputs))
        names = [metric.path for metric in self._compiled.metrics]
        return RoundResult(result[: len(state)], dict(zip(names, result[len(state) :], strict=True)))

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _input(self, client: ClientWork) -> Any:
        import tensorflow as tf

        from fedcli.runtime.engine import randomness
        from fedcli.runtime.engine.sessions import batched

        examples = client.examples()
        data = batched(tf.constant(examples.x), tf.constant(examples.y), client.batch_size)
        if self._compiled.tells_attackers:
            data = OrderedDict([("data", data), (ATTACKS, tf.data.Dataset.from_tensors(client.attacks))])
        return (data, randomness.keys(client.seed, self._keys)) if self._keys else data


def _reports(result: RoundResult) -> int:
    """Counts the clients of a round that report."""
    (count,) = (int(value) for path, value in result.metrics.items() if path.endswith(REPORTS))
    return count


def _flat(value: Any) -> list[NDArray[np.generic]]:
    """Lists the tensors of a structure in TFF's order, but for texts, which are no part of a round's state."""
    import tensorflow_federated as tff

    from fedcli.runtime.engine.plain_state import is_text

    struct = tff.structure.from_container(value, recursive=True)
    return [array for leaf in tff.structure.flatten(struct) if not is_text((array := np.asarray(leaf)).dtype)]


def _pack(tff_type: Any, values: Iterator[NDArray[np.generic]]) -> Any:
    """Puts tensors in TFF's order into a structure of a type; the reverse of `_flat`."""
    import tensorflow_federated as tff

    from fedcli.runtime.engine.plain_state import is_text

    if isinstance(tff_type, tff.StructType):
        elements = tff.structure.to_elements(tff_type)
        return tff.structure.Struct([(name, _pack(element, values)) for name, element in elements])
    return "" if is_text(np.dtype(tff_type.dtype)) else next(values)
