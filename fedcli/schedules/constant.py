"""The learning rate stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

from fedcli.schedules import schedules
from fedcli.schedules.base import ScheduleConfig


@schedules.register("constant")
@dataclass(frozen=True)
class Constant(ScheduleConfig):
    """One rate, after the warm-up if there is one."""

    name: str = "constant"

    def after_warmup(self, done: int, rounds: int) -> float:
        """Always 1."""
        return 1.0
