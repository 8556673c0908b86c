"""A data set whose reading goes wrong once, in the process that reads: the only way to fail at a known moment."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fedcli.datasets.base import FederatedDataset
from tests.runtime.conftest import SPEC, examples


@dataclass(frozen=True)
class Fault:
    """What goes wrong when a client is read.

    Attributes:
        client: The client.
        signal: Sent to the process that reads it, or to its parent, which is Ray's on its node.
        marker: A file; there once it has gone wrong.
        to_parent: Whether the parent gets the signal.
    """

    client: str
    signal: signal.Signals
    marker: Path
    to_parent: bool = False

    def happen(self):
        if self.to_parent:
            parent = Path(f"/proc/{os.getppid()}/comm").read_text().strip()
            assert parent == "raylet", f"started by {parent}, such as `uv run`, instead of Ray's process of its node"
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getppid() if self.to_parent else os.getpid(), self.signal)
        if self.to_parent:
            time.sleep(600)  # Ray ends this process too


class Faulty(FederatedDataset):
    """The clients of tests/runtime/conftest.py, some of whom go wrong once."""

    spec = SPEC

    def __init__(self, *faults, count=17):
        self.client_ids = [str(client) for client in range(100)]
        self._faults = {fault.client: fault for fault in faults}
        self._count = count

    def client(self, client_id):
        if "tensorflow_federated" in sys.modules and os.environ.get("RAY_JOB_ID"):
            raise RuntimeError("a worker has imported TFF")
        if fault := self._faults.get(client_id):
            fault.happen()
        return examples(client_id, self._count)

    def test(self, max_examples=None):
        return examples("0", self._count)
