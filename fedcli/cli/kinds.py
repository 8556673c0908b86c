"""What distinguishes the commands that run experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One kind of experiment.

    Attributes:
        schema: The dataclass of its config. It has `seed`, `rounds` (or `epochs`) and `output_dir`.
        check: Refuses a config that cannot run; cheap.
        run: Runs it: (config, run directory, observer, on_resume) to what result.json says.
    """

    schema: type[Any]
    check: Callable[[Any], None]
    run: Callable[..., dict[str, Any]]


def kind_of(command: str) -> Kind:
    """Returns the kind of experiment that a command runs. Imports no TensorFlow."""
    from fedcli.config.checks import check
    from fedcli.config.schema import TrainConfig
    from fedcli.training.train import train

    return Kind(TrainConfig, check, train)
