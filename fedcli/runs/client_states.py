"""client_states/: what each client keeps from one round in which it takes part to the next.

One file a client and round, in the form of a checkpoint: `HASH-000012.npz` is what the client whose id has that hash
kept after round 12. A version stays as long as there is a checkpoint that needs it: with the checkpoint of round r goes
what clients kept after round r, whatever rounds were begun since. Nothing is held in memory, so that there may be many
clients and large models.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import remove_leftovers, storage_errors
from fedcli.runs.checkpoints import load_checkpoint, save_checkpoint

_FILE_NAME = re.compile(r"([0-9a-f]{32})-([0-9]{6,})\.npz")


@dataclass(frozen=True)
class ClientState:
    """The state of one client before a round and after it; see `fedcli.runtime.round.Kept`.

    Attributes:
        states: All clients'.
        client: Its id.
        version: The last round in which it took part; None if there was none.
        round: The round in which it takes part.
        discard: Whether nothing is written, since the round does not count.
    """

    states: ClientStates
    client: str
    version: int | None
    round: int
    discard: bool = False

    def read(self) -> list[NDArray[Any]]:
        """Reads what it kept; zero if it never took part.

        Raises:
            RunDirectoryError: The file is missing or damaged.
        """
        return self.states.read(self.client, self.version)

    def write(self, tensors: Sequence[NDArray[Any]]) -> None:
        """Writes what it keeps after the round.

        Raises:
            RunDirectoryError: It cannot be written.
        """
        if not self.discard:
            self.states.write(self.client, self.version, self.round, tensors)


class ClientStates:
    """What the clients of one run keep.

    Args:
        folder: Where it is. Made by the first write.
        tensors: Name, type and shape of each tensor that a client keeps.
    """

    def __init__(self, folder: Path, tensors: Sequence[tuple[str, np.dtype[Any], Sequence[int]]]) -> None:
        self.folder = folder
        self._tensors = tensors
        #: Round of the newest checkpoint: later versions need not outlive the next one of their client.
        self._saved = 0

    def of(self, client: str, version: int | None, round: int, *, discard: bool = False) -> ClientState:
        """Returns what one client keeps; see `ClientState`."""
        return ClientState(self, client, version, round, discard)

    def path(self, client: str, version: int) -> Path:
        """Returns the file of a client's version, whether or not it exists."""
        return self.folder / _name(_hashed(client), version)

    def read(self, client: str, version: int | None) -> list[NDArray[Any]]:
        """Reads a version; see `ClientState.read`."""
        if version is None:
            return [np.zeros(shape, dtype) for _, dtype, shape in self._tensors]
        path = self.path(client, version)
        checkpoint = load_checkpoint(path, version)
        found = [(name, tensor.dtype, tensor.shape) for name, tensor in checkpoint.tensors]
        if found != [(name, dtype, tuple(shape)) for name, dtype, shape in self._tensors]:
            raise RunDirectoryError(
                f"{path} is of another model or algorithm",
                "resume with the versions in run.json, or start a new run",
            )
        return [tensor for _, tensor in checkpoint.tensors]

    def write(self, client: str, before: int | None, round: int, tensors: Sequence[NDArray[Any]]) -> None:
        """Writes a version, and removes the one before where no checkpoint needs it."""
        named = [(name, tensor) for (name, *_), tensor in zip(self._tensors, tensors, strict=True)]
        save_checkpoint(self.path(client, round), round, named, {"client": client})
        if before is not None and before > self._saved:
            self._remove(self.path(client, before))

    def check(self, versions: Mapping[str, int]) -> None:
        """Checks that what clients kept is there.

        Args:
            versions: Clients that have taken part, each with the last round in which it did.

        Raises:
            RunDirectoryError: A file is missing.
        """
        for client, version in versions.items():
            path = self.path(client, version)
            if not path.is_file():
                raise RunDirectoryError(
                    f"{path} is missing: what {client} kept after round {version}",
                    "restore it from a copy, or start a new run",
                )

    def restore(self, versions: Mapping[str, int], round: int) -> None:
        """Goes back to a checkpoint: removes what clients had later, and checks that the rest is there.

        Args:
            versions: Clients that have taken part, each with the last round in which it did.
            round: The checkpoint's round; 0 before the first.

        Raises:
            RunDirectoryError: A file is missing.
        """
        self.check(versions)
        remove_leftovers(self.folder)
        for name, later in self._files():
            if later > round:
                self._remove(self.folder / _name(name, later))
        self._saved = round

    def saved(self, rounds: Sequence[int]) -> None:
        """Takes note of a checkpoint, and removes the versions that no checkpoint needs.

        Args:
            rounds: Rounds of all checkpoints that there are.
        """
        self._saved = max(rounds)
        versions: dict[str, list[int]] = defaultdict(list)
        for name, version in self._files():
            versions[name].append(version)
        for name, there in versions.items():
            needed = {max((v for v in there if v <= round), default=None) for round in rounds}
            for version in set(there) - needed:
                if version <= self._saved:
                    self._remove(self.folder / _name(name, version))

    def _files(self) -> list[tuple[str, int]]:
        with storage_errors(self.folder, "read"):
            names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return [(match[1], int(match[2])) for match in map(_FILE_NAME.fullmatch, names) if match]

    def _remove(self, path: Path) -> None:
        with storage_errors(path, "remove"):
            path.unlink(missing_ok=True)


def _hashed(client: str) -> str:
    # An id can be any text, a file's name cannot.
    return hashlib.sha256(client.encode()).hexdigest()[:32]


def _name(hashed: str, version: int) -> str:
    return f"{hashed}-{version:06d}.npz"
