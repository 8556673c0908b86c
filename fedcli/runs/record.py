"""run.json: what ran, when, on what, and how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from fedcli.errors import FedcliError, Interrupted, RunDirectoryError
from fedcli.masking import masked
from fedcli.runs import environment
from fedcli.runs.atomic import damaged, read_json, write_json
from fedcli.runs.process import Process

#: Raised when a reader of the old form would misunderstand the new one; new keys alone do not raise it.
SCHEMA_VERSION = 1

Status = Literal["running", "completed", "interrupted", "failed"]


@dataclass
class RunRecord:
    """What run.json says.

    Attributes:
        id: The run's id, 6 hexadecimal digits.
        command: The fedcli command: `train`, `finetune`, ...
        status: `running` until the run ends; a killed run stays so, see `is_alive`.
        argv: The command line, as typed but for passwords in URLs.
        overrides: Its `KEY=VALUE` arguments.
        seed: The seed of all random choices.
        started: When the run began, ISO 8601 in UTC.
        finished: When it ended, likewise; None while it runs.
        versions: Versions of fedcli, Python and the packages that results depend on.
        git: `commit` and `dirty` of the folder the run was started in, or None.
        host: `hostname`, `platform`, `cpus`, `memory_bytes`.
        inputs: The fingerprints of what the run was made from: see `fedcli.runs.inputs`; None where not known.
        resumed: The rounds at which the run was taken up again.
        resumed_versions: The versions with which it was, one entry for each of them.
        runtime_losses: Calls to workers that were lost with a worker or node, and made again (runtime=ray).
        error: `type`, `message` and `hint` of what ended the run, or None.
        privacy: What the run says of its differential privacy: `epsilon` at `delta`, or why there is none; None for
            runs without noise.
        process: Who writes the run, while it runs.
        schema_version: Form of the file.
    """

    id: str
    command: str
    status: Status = "running"
    argv: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    seed: int | None = None
    started: str = ""
    finished: str | None = None
    versions: dict[str, str | None] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    host: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] | None = None
    resumed: list[int] = field(default_factory=list)
    resumed_versions: list[dict[str, str | None]] = field(default_factory=list)
    runtime_losses: int = 0
    error: dict[str, str] | None = None
    privacy: dict[str, Any] | None = None
    process: Process | None = None
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def begin(
        cls, *, id: str, command: str, argv: Sequence[str], overrides: Sequence[str], seed: int | None
    ) -> RunRecord:
        """Returns the record of a run that this process starts now, in the current folder."""
        return cls(
            id=id,
            command=command,
            argv=list(map(masked, argv)),
            overrides=list(overrides),
            seed=seed,
            started=_now(),
            versions=environment.versions(),
            git=environment.git_state(),
            host=environment.host(),
            process=Process.current(),
        )

    def resume(self, round: int | None) -> None:
        """Notes that this process runs the run, after `round` rounds of an earlier one; None for the beginning."""
        self.status = "running"
        self.finished = None
        self.error = None
        if round is None:
            self.versions = environment.versions()
        else:
            self.resumed.append(round)
            self.resumed_versions.append(environment.versions())
        self.process = Process.current()

    def finish(self, status: Status, error: BaseException | None = None) -> None:
        """Notes how the run ended.

        Args:
            status: `completed`, `interrupted` or `failed`.
            error: What ended it, if it did not complete.
        """
        if status == "running":
            raise ValueError("a run does not finish as running")
        self.status = status
        self.finished = _now()
        self.error = None if error is None else _describe(error)
        self.process = None

    def fedcli_versions(self) -> list[str]:
        """Returns the versions of fedcli that made the run, each once, the one that began it first."""
        all_versions = [self.versions, *self.resumed_versions]
        return list(dict.fromkeys(it["fedcli"] or "unknown" for it in all_versions if "fedcli" in it))

    def label(self, folder: Path) -> str:
        """Names the run in lists of runs: by its folder, and by its id where the folder's name (`3`) tells little."""
        return folder.name if self.id in folder.name else f"{folder.name} {self.id}"

    def is_alive(self) -> bool | None:
        """Tells whether the process that writes the run still lives.

        Returns:
            False for a run that has ended, and for one that says `running` but whose process was killed. None
            for one that runs, or ran, on another machine: that cannot be told from here.
        """
        if self.status != "running" or self.process is None:
            return False
        return self.process.is_alive()


def status_after(error: type[BaseException] | None) -> Status:
    """Returns the status of a run that ended with an error of a type, None for none."""
    if error is None:
        return "completed"
    return "interrupted" if issubclass(error, Interrupted | KeyboardInterrupt) else "failed"


def write_record(path: Path, record: RunRecord) -> None:
    """Writes run.json whole or not at all.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    document = dataclasses.asdict(record)
    write_json(path, {"schema_version": document.pop("schema_version"), **document})


def read_record(path: Path) -> RunRecord:
    """Reads run.json. Keys that this version does not know are ignored, keys that are missing have defaults.

    Raises:
        RunDirectoryError: The file cannot be read, is damaged, or has the form of a later fedcli.
    """
    document = read_json(path)
    version = document.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunDirectoryError(f"{path} was written by a later fedcli (schema {version})", "upgrade fedcli")
    known = {name: document[name] for name in _CHECKS if name in document}
    for name, value in known.items():
        if not _CHECKS[name](value):
            raise damaged(path, f"{name} is {value!r}")
    for name in ("id", "command"):
        if name not in known:
            raise damaged(path, f"{name} is missing")
    if known.get("process") is not None:
        known["process"] = Process(**{name: known["process"][name] for name in _PROCESS_FIELDS})
    return RunRecord(**known)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_optional_str(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_versions(value: Any) -> bool:
    return _is_dict(value) and all(_is_optional_str(item) for item in value.values())


def _is_error(value: Any) -> bool:
    return value is None or (_is_dict(value) and all(isinstance(text, str) for text in value.values()))


def _is_process(value: Any) -> bool:
    return value is None or (
        _is_dict(value)
        and all(_is_int(value.get(name)) for name in ("pid", "start_ticks"))
        and all(isinstance(value.get(name), str) for name in ("boot_id", "hostname"))
    )


_PROCESS_FIELDS = tuple(item.name for item in dataclasses.fields(Process))

_CHECKS = {
    "id": lambda value: isinstance(value, str),
    # A word, since hints show it as a part of commands to paste.
    "command": lambda value: isinstance(value, str) and value.isidentifier(),
    "status": lambda value: value in get_args(Status),
    "argv": lambda value: _is_list_of(str, value),
    "overrides": lambda value: _is_list_of(str, value),
    "seed": lambda value: value is None or _is_int(value),
    "started": lambda value: isinstance(value, str),
    "finished": _is_optional_str,
    "versions": lambda value: _is_versions(value),
    "git": lambda value: value is None or _is_dict(value),
    "host": _is_dict,
    "inputs": lambda value: value is None or _is_dict(value),
    "resumed": lambda value: _is_list_of(int, value),
    "resumed_versions": lambda value: isinstance(value, list) and all(map(_is_versions, value)),
    "runtime_losses": _is_int,
    "error": _is_error,
    "privacy": lambda value: value is None or _is_dict(value),
    "process": _is_process,
    "schema_version": _is_int,
}


def _describe(error: BaseException) -> dict[str, str]:
    hint = error.hint if isinstance(error, FedcliError) else ""
    return {"type": type(error).__name__, "message": masked(str(error)), "hint": hint}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
