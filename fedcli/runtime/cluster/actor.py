"""The actor that Ray places on nodes. It is sent as source is, by value, so that a node without fedcli can say so.

Only the standard library may be imported at the top of this file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path
from typing import Any


def versions() -> dict[str, str]:
    """Returns the versions of what must be the same on every node, without importing it."""
    return {
        "Python": platform.python_version(),
        "TensorFlow": _installed("tensorflow"),
        "fedcli": f"{_installed('fedcli')} (source {_source_hash('fedcli')})",
    }


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _source_hash(package: str) -> str:
    """Hashes a package's Python files: checkouts differ where their version does not."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return "none"
    folder = Path(spec.origin).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


class Actor:
    """A worker's outside: tells about its node, then trains clients and merges sums."""

    def introduce(self) -> dict[str, Any]:
        """Tells what fedcli has to know before it sends work."""
        return {
            "host": platform.node(),
            "node": _node(),
            "versions": versions(),
            "token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
            "tls": os.environ.get("RAY_USE_TLS", "").lower() in ("1", "true"),
        }

    def load(self, setup: bytes) -> None:
        """Builds the sessions; see `worker.Worker`."""
        from fedcli.runtime.cluster.worker import Worker

        self._worker = Worker(setup)

    def train(self, number: int, broadcast: Any, seed: tuple[int, int], group: bytes) -> tuple[str, Any]:
        """Trains a group of clients; returns the node that has the sum, and the sum."""
        return _node(), self._worker.train(number, broadcast, seed, group)

    def merge(self, seed: tuple[int, int], *sums: Any) -> tuple[str, Any]:
        """Merges sums in order; returns the node that has the sum, and the sum."""
        return _node(), self._worker.merged(seed, sums)


def _node() -> str:
    import ray

    return ray.get_runtime_context().get_node_id()
