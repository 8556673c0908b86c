"""Where each file of a run is, and how runs are found below a folder."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import storage_errors

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run: names its files, opens none of them.

    Attributes:
        path: The folder. It need not exist yet.
    """

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", Path(path))

    def __str__(self) -> str:
        return str(self.path)

    @staticmethod
    def new_id() -> str:
        """Returns 6 random hexadecimal digits, which keep runs of the same second apart."""
        return secrets.token_hex(3)

    @property
    def run_json(self) -> Path:
        """What ran, when, on what, and how it ended."""
        return self.path / "run.json"

    @property
    def config_yaml(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def hydra(self) -> Path:
        """Hydra's own record, a folder."""
        return self.path / ".hydra"

    @property
    def metrics_csv(self) -> Path:
        """One row a round."""
        return self.path / "metrics.csv"

    @property
    def participants_csv(self) -> Path:
        """One row for each client that a round asked, where it is simulated who reports."""
        return self.path / "participants.csv"

    @property
    def attackers_json(self) -> Path:
        """The clients that attack, where attacks are simulated."""
        return self.path / "attackers.json"

    @property
    def events(self) -> Path:
        """TensorBoard's folder."""
        return self.path / "events"

    @property
    def mlflow(self) -> Path:
        """MLflow's folder, with logger=mlflow and no other folder."""
        return self.path / "mlflow"

    @property
    def wandb(self) -> Path:
        """W&B's folder (the name is W&B's), with logger=wandb."""
        return self.path / "wandb"

    @property
    def clients_csv(self) -> Path:
        """The last evaluation of each client by itself, one row a client."""
        return self.path / "clients.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of the server states."""
        return self.path / "checkpoints"

    @property
    def client_states(self) -> Path:
        """The folder of what clients keep between rounds, for algorithms whose clients do."""
        return self.path / "client_states"

    @property
    def model_keras(self) -> Path:
        """The final global model, a Keras file."""
        return self.path / "model.keras"

    @property
    def result_json(self) -> Path:
        """Final and best metrics, rounds, totals."""
        return self.path / "result.json"

    @property
    def run_log(self) -> Path:
        """Everything logged, tracebacks included."""
        return self.path / "run.log"

    @property
    def lock(self) -> Path:
        """Exists while a process writes the run."""
        return self.path / ".lock"

    @property
    def is_recorded(self) -> bool:
        """Whether the folder has a run.json, so is a run beyond doubt."""
        return self.run_json.is_file()

    @property
    def is_run(self) -> bool:
        """Whether the folder is a run, or what a run leaves that was killed before it wrote run.json."""
        return self.is_recorded or self.config_yaml.is_file() or self.metrics_csv.is_file()

    def files_of_a_run(self) -> list[str]:
        """Lists the names of what is in the folder that a run would take for its own, or overwrite."""
        own = (
            self.run_json,
            self.config_yaml,
            self.metrics_csv,
            self.participants_csv,
            self.attackers_json,
            self.clients_csv,
            self.checkpoints,
            self.client_states,
            self.events,
            self.model_keras,
            self.result_json,
        )
        return [path.name for path in own if path.exists()]


def find_runs(paths: Iterable[str | os.PathLike[str]]) -> list[RunDirectory]:
    """Finds the runs at or below each path: a run, a day, a sweep, all of `outputs`, or a file inside a run.

    Args:
        paths: Files or folders. Hidden folders below them are passed over: `.hydra` holds a config.yaml too.

    Returns:
        The runs, in the order of `paths` and below each sorted by name, which is by time; each run once.

    Raises:
        RunDirectoryError: A path does not exist.
    """
    found: dict[Path, RunDirectory] = {}
    for path in map(Path, paths):
        with storage_errors(path, "read"):
            folder = path.parent if path.is_file() and RunDirectory(path.parent).is_run else path
            if not folder.is_dir():
                raise RunDirectoryError(
                    f"{path}: no such run directory", "give a run's folder, or a folder that holds runs"
                )
            for run in _walk(folder):
                found.setdefault(run.path.resolve(), run)
    return list(found.values())


def _walk(root: Path) -> Iterator[RunDirectory]:
    def warn(error: OSError) -> None:
        _log.warning("cannot look for runs in %s: %s", error.filename, error.strerror)

    for folder, subfolders, _ in os.walk(root, onerror=warn):
        run = RunDirectory(folder)
        if run.is_run:
            yield run
        if run.is_recorded:
            subfolders.clear()  # runs do not nest, and checkpoints can be many
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
