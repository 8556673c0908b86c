"""MLflow, into a local folder."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fedcli.loggers import loggers
from fedcli.loggers.base import Logger, LoggerConfig

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

    from fedcli.runs.directory import RunDirectory
    from fedcli.runs.record import RunRecord, Status

#: MLflow's words for how a run ended.
_STATUSES = {"completed": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
#: MLflow takes no more parameters at a time.
_BATCH = 100
#: The tag by which a run is found again.
_ID = "fedcli.id"


@loggers.register("mlflow")
@dataclass(frozen=True)
class MLflow(LoggerConfig):
    """An MLflow tracking folder.

    Attributes:
        tracking_dir: The folder, which runs may share; None for one inside the run directory.
        experiment: The MLflow experiment that runs are put in.
    """

    package: ClassVar[str | None] = "mlflow"

    name: str = "mlflow"
    tracking_dir: str | None = None
    experiment: str = "fedcli"

    def problems(self) -> Iterator[tuple[str, str]]:
        """The folder is none on a server, and the experiment has a name."""
        if self.tracking_dir is not None and (not self.tracking_dir.strip() or "://" in self.tracking_dir):
            yield "tracking_dir", "must be a folder of this machine, or null"
        if not self.experiment.strip():
            yield "experiment", "must be a name"

    def start(self, run: RunDirectory, record: RunRecord, config: Mapping[str, Any]) -> MLflowLogger:
        """Begins an MLflow run, or takes up the one of this fedcli run; see the base class."""
        folder = run.mlflow if self.tracking_dir is None else Path(self.tracking_dir).expanduser()
        client = _client(folder.absolute())
        experiment = _experiment(client, folder.absolute(), self.experiment)
        found = _find(client, experiment, run, record) or _begin(client, experiment, run, record)
        return MLflowLogger(client, found, config)


class MLflowLogger(Logger):
    """Writes one MLflow run.

    Args:
        client: The tracking folder.
        run: The run there.
        config: The config, flat.
    """

    def __init__(self, client: MlflowClient, run: Run, config: Mapping[str, Any]) -> None:
        self._client = client
        self._id: str = run.info.run_id
        client.update_run(self._id, status="RUNNING")
        self._params(run.data.params, {_key(name): str(value) for name, value in config.items()})
        # Each metric's last step: the latest of them all is the last round that was logged.
        steps = [point.step for name in run.data.metrics for point in client.get_metric_history(self._id, name)]
        self.last_round = max(steps, default=-1)

    def scalars(self, round: int, values: Mapping[str, float]) -> None:
        """Writes metrics, the round as their step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_key(name), float(value), now, round) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def text(self, round: int, name: str, text: str) -> None:
        """Writes a text file among the run's artifacts."""
        self._client.log_text(self._id, text, f"{_key(name)}/round_{round:06d}.txt")

    def close(self, status: Status) -> None:
        """Ends the MLflow run."""
        self._client.set_terminated(self._id, _STATUSES[status])

    def _params(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        added = [Param(name, value) for name, value in new.items() if name not in old]
        for start in range(0, len(added), _BATCH):
            self._client.log_batch(self._id, params=added[start : start + _BATCH])
        # MLflow's parameters cannot be changed; what a resumed run changed is told by tags.
        changed = [RunTag(f"resumed.{name}", value) for name, value in new.items() if old.get(name, value) != value]
        self._client.log_batch(self._id, tags=changed)


def _client(folder: Path) -> MlflowClient:
    # It would tell its makers of each run otherwise, over the network.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    # What it has to say is for run.log, where the root logger's handler writes it.
    chatter = logging.getLogger("mlflow")
    chatter.handlers.clear()
    chatter.propagate = True
    return MlflowClient(tracking_uri=folder.as_uri())


def _experiment(client: MlflowClient, folder: Path, name: str) -> Experiment:
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    # Two jobs of a sweep that begin at once would make two experiments of the same name.
    with FileLock(folder / ".fedcli.lock"):
        found = client.get_experiment_by_name(name)
        return found or client.get_experiment(client.create_experiment(name))


def _find(client: MlflowClient, experiment: Experiment, run: RunDirectory, record: RunRecord) -> Run | None:
    found = client.search_runs([experiment.experiment_id], f"tags.`{_ID}` = '{record.id}'", max_results=1)
    if found:
        return client.get_run(found[0].info.run_id)
    # A process that was killed while MLflow made the run, a file at a time, leaves one with a name and without tags.
    for one in client.search_runs([experiment.experiment_id]):
        if one.info.run_name == record.label(run.path) and _ID not in one.data.tags:
            for key, value in _tags(run, record).items():
                client.set_tag(one.info.run_id, key, value)
            return client.get_run(one.info.run_id)
    return None


def _begin(client: MlflowClient, experiment: Experiment, run: RunDirectory, record: RunRecord) -> Run:
    return client.create_run(experiment.experiment_id, tags=_tags(run, record), run_name=record.label(run.path))


def _tags(run: RunDirectory, record: RunRecord) -> dict[str, str]:
    return {_ID: record.id, "fedcli.command": record.command, "fedcli.folder": str(run.path.absolute())}


def _key(name: str) -> str:
    """Replaces the characters that MLflow refuses in names."""
    return re.sub(r"[^\w\-. /]", "_", name)
