"""What a runtime is to the rest of fedcli: it makes the server's first state, and one state from another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fedcli.datasets.base import FederatedDataset
from fedcli.registry import Component
from fedcli.runtime.round import ClientWork, RoundResult, State

if TYPE_CHECKING:
    from fedcli.runtime.engine.compiled import CompiledRound


class Runtime(ABC):
    """Executes the rounds of one compiled computation. A context manager: leaving it frees what it holds."""

    #: Calls to workers that were lost with a worker and made again; see `run_round`.
    losses: int = 0

    @abstractmethod
    def load(self, compiled: CompiledRound, dataset: FederatedDataset | None = None) -> None:
        """Takes the computation whose rounds are to be run.

        Args:
            compiled: The computation.
            dataset: What the clients' examples will be read from, for a runtime whose workers read them themselves.
        """

    @abstractmethod
    def initial_state(self, seed: tuple[int, int]) -> State:
        """Computes the server's state before the first round."""

    @abstractmethod
    def run_round(self, state: State, clients: Sequence[ClientWork], seed: tuple[int, int]) -> RoundResult:
        """Runs one round.

        Args:
            state: The server's state.
            clients: The sampled clients, in the order in which their updates are summed.
            seed: Two 64-bit numbers from which the server's random operations derive.

        Raises:
            WorkerError: Those who do the work are lost. The state is still that before the round.
        """

    def close(self) -> None:  # noqa: B027 (a runtime may hold nothing)
        """Frees threads, processes and files."""

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@dataclass(frozen=True)
class RuntimeConfig(Component, ABC):
    """A runtime and its keys."""

    #: Whether this machine trains the clients' models.
    trains_here: ClassVar[bool] = True
    #: Whether it executes TFF's process itself, so that a compiled round from the cache is not enough.
    needs_process: ClassVar[bool] = False
    #: Whether it can give clients what they keep between rounds, and take it from them: see `ClientWork.kept`.
    serves_kept: ClassVar[bool] = False
    #: Whether it executes the compiled round, of which secure sums are a part; see `engine.secure_sums`.
    sums_securely: ClassVar[bool] = True

    @property
    def caches_rounds(self) -> bool:
        """Whether compiled rounds are taken from the cache, and put there."""
        return False

    @abstractmethod
    def start(self, log_path: Path) -> Runtime:
        """Starts the runtime; what takes long goes on in the background, while TensorFlow is imported.

        Args:
            log_path: Where a process of the runtime writes its output.
        """
