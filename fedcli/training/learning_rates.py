"""Learning rates that follow a schedule: they are put into the server's state before each round.

All optimizers of `tff.learning` keep their learning rate in their state, that of the server's in the finalizer's part
and that of the clients' in the client work's, from where it goes to clients. So a schedule works with every algorithm
and runtime, and the round is compiled only once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedcli.config.schema import TrainConfig
from fedcli.optimizers.base import OptimizerConfig
from fedcli.runs.metrics import Row
from fedcli.runtime.base import State
from fedcli.runtime.engine.compiled import CompiledRound
from fedcli.schedules.base import ScheduleConfig
from fedcli.schedules.constant import Constant


class LearningRates:
    """The learning rates of a run, round by round.

    Args:
        config: The config.
        compiled: The computation in whose state they are.
    """

    def __init__(self, config: TrainConfig, compiled: CompiledRound) -> None:
        self._rounds = config.rounds
        self._scheduled: list[tuple[str, OptimizerConfig, ScheduleConfig, Sequence[int]]] = []
        for who, part, optimizer, schedule in (
            ("client", "client_work/", config.client_optimizer, config.client_schedule),
            ("server", "finalizer/", config.server_optimizer, config.server_schedule),
        ):
            if schedule != Constant():
                where = [
                    i
                    for i, leaf in enumerate(compiled.state)
                    if leaf.path.startswith(part) and leaf.path.endswith("/learning_rate")
                ]
                if not where:
                    raise ValueError(f"algorithm={config.algorithm.name} keeps no learning rate in {part}")
                self._scheduled.append((who, optimizer, schedule, where))

    @property
    def columns(self) -> list[str]:
        """Names of the rates that change, as metrics.csv has them."""
        return [f"{who}_learning_rate" for who, *_ in self._scheduled]

    def row(self, round: int) -> Row:
        """Returns the rates of a round that change."""
        rates = [
            optimizer.learning_rate * schedule.factor(round, self._rounds)
            for _, optimizer, schedule, _ in self._scheduled
        ]
        return dict(zip(self.columns, rates, strict=True))

    def put_into(self, state: State, round: int) -> State:
        """Returns a server's state with the rates of a round."""
        new = list(state)
        for rate, (*_, where) in zip(self.row(round).values(), self._scheduled, strict=True):
            for index in where:
                new[index] = np.asarray(rate, new[index].dtype)
        return new
