"""Weights & Biases, offline: its files are in the run directory, for `wandb sync`."""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fedcli.loggers import loggers
from fedcli.loggers.base import Logger, LoggerConfig

if TYPE_CHECKING:
    import wandb

    from fedcli.runs.directory import RunDirectory
    from fedcli.runs.record import RunRecord, Status

_log = logging.getLogger(__name__)

#: The exit codes of fedcli's commands, by which W&B tells how a run ended.
_EXIT_CODES = {"completed": 0, "interrupted": 130, "failed": 1}


@loggers.register("wandb")
@dataclass(frozen=True)
class WandB(LoggerConfig):
    """A W&B run that is kept on this machine.

    Attributes:
        project: The W&B project that `wandb sync` puts it in.
    """

    package: ClassVar[str | None] = "wandb"

    name: str = "wandb"
    project: str = "fedcli"

    def problems(self) -> Iterator[tuple[str, str]]:
        """The project has a name."""
        if not self.project.strip():
            yield "project", "must be a name"

    def start(self, run: RunDirectory, record: RunRecord, config: Mapping[str, Any]) -> WandBLogger:
        """Begins an offline run.

        A resumed run writes another file, of the same W&B id: W&B takes both for one run when they are synced. W&B
        writes late, so a killed run can leave an empty file; the next one then has all rounds.
        """
        # It would report its own errors to its makers otherwise, over the network.
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        import wandb

        done = max((last_round(file) for file in run.wandb.glob("offline-run-*/*.wandb")), default=-1)
        settings = wandb.Settings(
            console="off",  # stdout is one JSON document
            silent=True,
            disable_git=True,  # run.json has it
            disable_code=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        opened = wandb.init(
            mode="offline",
            dir=run.path,
            project=self.project,
            id=record.id,
            name=record.label(run.path),
            job_type=record.command,
            config=dict(config),
            settings=settings,
            reinit="finish_previous",
        )
        return WandBLogger(opened, done)


class WandBLogger(Logger):
    """Writes one file of a W&B run.

    Args:
        run: The run.
        last_round: The last round in the files before.
    """

    def __init__(self, run: wandb.sdk.wandb_run.Run, last_round: int) -> None:
        self._run = run
        self.last_round = last_round

    def scalars(self, round: int, values: Mapping[str, float]) -> None:
        """Adds to the history, the round as its step."""
        self._run.log(dict(values), step=round)

    def text(self, round: int, name: str, text: str) -> None:
        """Adds a text to the round's history."""
        import wandb

        self._run.log({name: wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)}, step=round)

    def close(self, status: Status) -> None:
        """Writes the end of the file, and ends W&B's own process."""
        import wandb

        self._run.summary["status"] = status
        self._run.finish(exit_code=_EXIT_CODES[status])
        # That process would write nothing of a run that it has written before, one resumed by this same process.
        wandb.teardown()


def last_round(file: Path) -> int:
    """Returns the last step in the history of an offline file, -1 if there is none."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    last = -1
    store = DataStore()
    try:
        store.open_for_scan(str(file))
        while (data := store.scan_data()) is not None:
            record = Record.FromString(data)
            if record.WhichOneof("record_type") == "history":
                last = max(last, record.history.step.num)
    except Exception as error:  # what a killed process left half written ends the file
        _log.info("%s: read up to round %d (%s)", file, last, error)
    finally:
        store.close()
    return last
