"""What a logger is to the rest of fedcli: it is told what a run measures, and keeps it in its own form."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fedcli.errors import ConfigError
from fedcli.extras import how_to_install
from fedcli.registry import Component

if TYPE_CHECKING:
    from fedcli.runs.directory import RunDirectory
    from fedcli.runs.record import RunRecord, Status


class Logger:
    """Keeps what one run measures. This one keeps nothing; others override what they need.

    Attributes:
        last_round: The last round that it already holds of this run, when it is opened; -1 for none. It is not told
            of rounds up to there again.
    """

    last_round: int = -1

    def scalars(self, round: int, values: Mapping[str, float]) -> None:
        """Keeps the numbers of a round, by name. Rounds come in order, each once."""

    def text(self, round: int, name: str, text: str) -> None:
        """Keeps a text, such as what a model wrote after a round."""

    def close(self, status: Status) -> None:
        """Notes how the run ended, and brings everything to the disk."""


@dataclass(frozen=True)
class LoggerConfig(Component):
    """A logger and its keys."""

    #: The package that it writes with, also the name of fedcli's extra; None if it needs none.
    package: ClassVar[str | None] = None

    def check(self) -> None:
        """Refuses a logger whose package is not installed.

        Raises:
            ConfigError: It is not.
        """
        if self.package is not None and not _is_installed(self.package):
            raise ConfigError(
                f"logger={self.name}: the package {self.package} is not installed",
                f"{how_to_install(self.package)}; or logger=tensorboard",
            )

    def start(self, run: RunDirectory, record: RunRecord, config: Mapping[str, Any]) -> Logger:
        """Opens the logger's record of a run, the one that an earlier process began if there is one.

        Args:
            run: The run.
            record: What run.json says.
            config: The config, flat: `{"client_optimizer.learning_rate": 0.1, ...}`.

        Raises:
            Exception: Whatever the package raises; the run then goes on without it.
        """
        return Logger()


def _is_installed(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    # A mere folder of that name, such as one that wandb leaves where it is used, has no origin.
    return spec is not None and spec.origin is not None
