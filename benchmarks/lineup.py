"""Who is compared: how each side is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments
from benchmarks.machine import ROOT
from benchmarks.processes import Side


@dataclass(frozen=True)
class Entry:
    """A side.

    Attributes:
        title: What tables call it.
        module: Runs a plan.
        options: Arguments of the module.
        peer: Environment that it needs; None for the project's.
        processes: How many `torchrun` starts; 1 for none of it.
    """

    title: str
    module: str
    options: Sequence[str] = ()
    peer: str | None = None
    processes: int = 1


ENTRIES: Mapping[str, Entry] = {
    "fedcli": Entry("fedcli", "benchmarks.sides.fedcli_train"),
    "fedcli-mean": Entry("fedcli, mean", "benchmarks.sides.fedcli_train", ["aggregator=mean"]),
    "clients": Entry("hand-written, a thread a client", "benchmarks.sides.handwritten", ["clients"]),
    "operations": Entry("hand-written, threads in operations", "benchmarks.sides.handwritten", ["operations"]),
    "tff": Entry("TFF tutorial", "benchmarks.sides.tff_tutorial"),
    "flower": Entry("Flower, PyTorch", "benchmarks.peers.flower", peer="flower"),
    "fedjax": Entry("FedJAX", "benchmarks.peers.fedjax", peer="fedjax"),
    "pfl": Entry("pfl-research, PyTorch", "benchmarks.peers.pfl", peer="pfl"),
    "pfl-2": Entry("pfl-research, 2 processes", "benchmarks.peers.pfl", peer="pfl", processes=2),
}

BY_HAND = ("clients", "operations")
PEERS = ("flower", "fedjax", "pfl", "pfl-2")


@dataclass(frozen=True)
class Lineup:
    """Starts sides.

    Attributes:
        folder: Where the peers' environments are kept.
        cache: fedcli's cache folder.
    """

    folder: Path
    cache: Path

    def python(self, name: str) -> Path:
        """Returns a side's interpreter; a peer's environment is made where it is missing.

        Raises:
            NotInstalled: It is a peer that does not install.
        """
        peer = ENTRIES[name].peer
        return Path(sys.executable) if peer is None else environments.python(peer, self.folder)

    def start(self, name: str, plan: Path) -> Side:
        """Starts a side on a plan.

        Raises:
            NotInstalled: It is a peer that does not install.
        """
        entry = ENTRIES[name]
        launch = [str(self.python(name))]
        if entry.processes > 1:
            launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={entry.processes}"]
        command = [*launch, "-m", entry.module, str(plan)]
        return Side([*command, *entry.options], self.environment(), ROOT, reports=len(command))

    def fedcli(self, arguments: Sequence[str]) -> Side:
        """Starts the command `fedcli`, as a user does."""
        return Side([sys.executable, "-m", "fedcli", *arguments], self.environment(), ROOT)

    def environment(self) -> dict[str, str]:
        """Returns the environment variables of every side."""
        variables = {**os.environ, "FEDCLI_CACHE": str(self.cache), "PYTHONPATH": str(ROOT)}
        # Python keeps the bytecode of what it imports, unless told otherwise: all sides start with it.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        return variables
