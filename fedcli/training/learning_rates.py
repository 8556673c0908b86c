"""Learning rates: they are put into the server's state before each round, as their schedules say.

All optimizers of `tff.learning` keep their learning rate in their state, that of the server's in the finalizer's part
and that of the clients' in the client work's, from where it goes to clients. So a schedule works with every algorithm
and runtime, and the round is compiled only once, whatever the rates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedcli.algorithms.base import AlgorithmConfig
from fedcli.config.schema import TrainConfig
from fedcli.optimizers.base import OptimizerConfig
from fedcli.runs.metrics import Row
from fedcli.runtime.engine.compiled import CompiledRound
from fedcli.runtime.round import State
from fedcli.schedules.base import ScheduleConfig
from fedcli.schedules.constant import Constant


def without_rates(config: TrainConfig) -> TrainConfig:
    """Returns a config as its round is compiled: learning rates are 1 that `LearningRates` puts into the state."""
    return dataclasses.replace(
        config,
        client_optimizer=_without_rate(config.algorithm, config.client_optimizer),
        server_optimizer=_without_rate(config.algorithm, config.server_optimizer),
    )


def _without_rate(algorithm: AlgorithmConfig, optimizer: OptimizerConfig) -> OptimizerConfig:
    if not algorithm.takes_rates_from_state or not optimizer.keeps_rate_in_state:
        return optimizer
    return dataclasses.replace(optimizer, learning_rate=1.0)


@dataclass(frozen=True)
class _Rate:
    """A learning rate that is put into the state.

    Attributes:
        column: Its name in metrics.csv.
        optimizer: Says the rate.
        schedule: Says by what it is multiplied.
        where: Indices of the state's leaves that it is put into.
    """

    column: str
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    where: Sequence[int]

    @property
    def changes(self) -> bool:
        """Whether it differs from round to round."""
        return self.schedule != Constant()


class LearningRates:
    """The learning rates of a run, round by round.

    Args:
        config: The config.
        compiled: The computation in whose state they are.
    """

    def __init__(self, config: TrainConfig, compiled: CompiledRound) -> None:
        self._rounds = config.rounds
        self._rates: list[_Rate] = []
        uses_clients = config.algorithm.uses_client_optimizer
        for who, part, optimizer, schedule, is_used in (
            ("client", "client_work/", config.client_optimizer, config.client_schedule, uses_clients),
            ("server", "finalizer/", config.server_optimizer, config.server_schedule, True),
        ):
            is_compiled_in = _without_rate(config.algorithm, optimizer) is optimizer or not is_used
            if schedule == Constant() and is_compiled_in:
                continue
            where = [
                i
                for i, leaf in enumerate(compiled.state)
                if leaf.path.startswith(part) and leaf.path.endswith("/learning_rate")
            ]
            if not where:
                raise ValueError(f"algorithm={config.algorithm.name} keeps no learning rate in {part}")
            self._rates.append(_Rate(f"{who}_learning_rate", optimizer, schedule, where))

    @property
    def columns(self) -> list[str]:
        """Names of the rates that change, as metrics.csv has them."""
        return [rate.column for rate in self._rates if rate.changes]

    def row(self, round: int) -> Row:
        """Returns the rates of a round that change."""
        return {rate.column: self._of(rate, round) for rate in self._rates if rate.changes}

    def put_into(self, state: State, round: int) -> State:
        """Returns a server's state with the rates of a round."""
        new = list(state)
        for rate in self._rates:
            for index in rate.where:
                new[index] = np.asarray(self._of(rate, round), new[index].dtype)
        return new

    def _of(self, rate: _Rate, round: int) -> float:
        return rate.optimizer.learning_rate * rate.schedule.factor(round, self._rounds)
