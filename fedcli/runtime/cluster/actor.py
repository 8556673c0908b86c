"""The actor that Ray places on nodes. It is sent as source is, by value, so that a node without fedcli can say so.

Only the standard library may be imported at the top of this file.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.metadata
import importlib.util
import json
import os
import platform
from pathlib import Path
from typing import Any

_AGENT_SECONDS = 5.0


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
            "open_agent": _open_agent(),
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


def _open_agent() -> str:
    """Returns the address at which this node's agent takes requests without the token; empty for none.

    An agent that asks for the token answers 401 to every path, one that does not ask answers 404 to this path.
    """
    from ray.experimental.internal_kv import _internal_kv_get

    try:
        # What the agent says of itself: its IP address, its HTTP port and its gRPC port.
        told = _internal_kv_get(f"DASHBOARD_AGENT_ADDR_NODE_ID_PREFIX:{_node()}", namespace="dashboard")
        host, port, _ = json.loads(told or '["", -1, -1]')
        if port <= 0:
            return ""
        connection = http.client.HTTPConnection(host, port, timeout=_AGENT_SECONDS)
        try:
            connection.request("GET", "/fedcli")
            status = connection.getresponse().status
        finally:
            connection.close()
    except Exception:  # nothing of it is worth a run: no HTTP there, or another Ray, which keeps it elsewhere
        return ""
    return "" if status in (401, 403) else f"{host}:{port}"


def _node() -> str:
    import ray

    return ray.get_runtime_context().get_node_id()
