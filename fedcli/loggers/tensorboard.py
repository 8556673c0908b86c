"""TensorBoard alone: every run has its files in `events/` anyhow, so nothing is written beside them."""

from __future__ import annotations

from dataclasses import dataclass

from fedcli.loggers import loggers
from fedcli.loggers.base import LoggerConfig


@loggers.register("tensorboard")
@dataclass(frozen=True)
class TensorBoard(LoggerConfig):
    """No logger beside the run's own files."""

    name: str = "tensorboard"
