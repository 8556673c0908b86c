"""What distinguishes the commands that run experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fedcli.cli.progress import RunProgress


@dataclass(frozen=True)
class Kind:
    """One kind of experiment.

    Attributes:
        schema: The dataclass of its config. It has `seed`, `rounds` (or `epochs`) and `output_dir`.
        check: Refuses a config that cannot run, cheaply, and completes it.
        run: Runs it: (config, run directory, observer, journal) to what result.json says.
        length: The key that says how long a run is, `rounds` or `epochs`.
        check_new: Refuses what a resumed run may do and a new one may not.
        progress: Makes the observer that shows the run, a context manager; called with what its lines begin with.
    """

    schema: type[Any]
    check: Callable[[Any], Any]
    run: Callable[..., dict[str, Any]]
    length: str = "rounds"
    check_new: Callable[[Any], None] = lambda config: None
    progress: Callable[[str], Any] = RunProgress


def kind_of(command: str) -> Kind:
    """Returns the kind of experiment that a command runs. Imports no TensorFlow."""
    if command == "pretrain":
        from fedcli.cli.epochs import EpochsProgress
        from fedcli.config.pretrain import PretrainConfig
        from fedcli.training.pretrain import pretrain
        from fedcli.training.pretrain_checks import check_new, check_pretraining

        return Kind(PretrainConfig, check_pretraining, pretrain, "epochs", check_new, EpochsProgress)
    from fedcli.config.checks import check, check_finetuning
    from fedcli.config.schema import FinetuneConfig, TrainConfig
    from fedcli.training.train import train

    if command == "finetune":
        return Kind(FinetuneConfig, check_finetuning, train)
    return Kind(TrainConfig, check, train)
