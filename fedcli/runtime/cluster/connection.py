"""Joins a Ray cluster, or starts a local Ray that nobody else can reach."""

from __future__ import annotations

import math
import os
import re
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedcli.errors import FedcliError, WorkerError
from fedcli.runtime.cluster.settings import ClusterSettings

_REACH_SECONDS = 10.0


@contextmanager
def connected(config: ClusterSettings, folder: Path, cores: int) -> Iterator[Any]:
    """Connects this process to Ray while the block runs.

    Args:
        config: Where to.
        folder: Where a local Ray keeps its files; nobody else may be able to enter it.
        cores: Processors of this machine that a local Ray may use.

    Yields:
        The module `ray`.

    Raises:
        WorkerError: There is no such cluster, or it does not let this process in.
    """
    if config.is_local:
        lock_local_ray()
        options = _local_options(config, folder, cores)
    else:
        _refuse_unreachable(config.address)
        # Somebody listens there; if it does not let this process in now, it will not do so in 20 seconds.
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "5")
        options = {"address": config.address}
    # Under `uv run`, Ray would send the current folder to every node and start workers by `uv run` there.
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    import ray  # reads the environment

    try:
        ray.init(**options, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:  # Ray raises nearly everything here
        raise _explained(config.address, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def lock_local_ray() -> None:
    """Lets nobody else into a Ray that this process is going to start.

    Ray then asks for a secret, since loopback is open to every user of the machine. Call it before Ray is imported.
    """
    for name in [name for name in os.environ if name.startswith(("RAY_AUTH", "RAY_TLS", "RAY_USE_TLS", "RAY_ADDRESS"))]:
        del os.environ[name]
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_USAGE_STATS_ENABLED="0",
        RAY_enable_metrics_collection="0",  # by the agent's server, see below
    )
    # Each node's agent runs an HTTP server, with the dashboard or without, that takes jobs from whoever can reach it:
    # before Ray 2.54 it does not ask for the token. Ray starts the agent without the server where these packages are
    # missing, as in an installation without the extra `ray[default]`. This process and its children do without them.
    sys.modules["ray.dashboard.optional_deps"] = None  # type: ignore[assignment]


def _local_options(config: ClusterSettings, folder: Path, cores: int) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": math.ceil(config.workers * config.num_cpus) if config.workers else cores,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        # Ray lets everybody into the folder that it is given: not into the one around it.
        "_temp_dir": str(folder / "r"),
    }


def _refuse_unreachable(address: str) -> None:
    """Looks whether somebody listens: Ray itself would try for a minute and then end this process."""
    found = re.fullmatch(r"(?:ray://)?\[?([^\s/\]]+?)\]?:(\d+)", address)
    if found is None:  # auto
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WorkerError(
            f"runtime.address={address}: nobody answers there ({reason})",
            "check that `ray start --head` runs there and that its ports are open, or set runtime.address=local",
        ) from error


def _explained(address: str, error: Exception) -> FedcliError:
    text = _whole_text(error)
    if "running Ray instance" in text:
        return WorkerError(
            f"runtime.address={address}: this machine belongs to no Ray cluster",
            "set runtime.address=local to start a Ray for this run, or name a cluster: runtime.address=host:6379",
        )
    if "Version mismatch" in text or "version mismatch" in text:
        versions = re.findall(r"Ray: (\S+) Python: (\S+)", text.replace(",", " "))
        told = " and ".join(f"Ray {ray} on Python {python.rstrip('.')}" for ray, python in versions) or text
        return WorkerError(
            f"runtime.address={address}: the cluster and this machine differ: {told}",
            "install the same versions of Ray and Python on every node",
        )
    if "uthenticat" in text or "UNAUTHENTICATED" in text:
        has_token = os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and "no authentication token" not in text
        token = "a wrong token" if has_token else "no token"
        return WorkerError(
            f"runtime.address={address}: the cluster does not let fedcli in with {token}",
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH=FILE to the token that the cluster was started with",
        )
    if "client connection timeout" in text:
        return WorkerError(
            f"runtime.address={address}: Ray listens there and does not let fedcli in",
            "check RAY_AUTH_MODE, the token (RAY_AUTH_TOKEN_PATH) and RAY_USE_TLS against those of the cluster",
        )
    return WorkerError(
        f"runtime.address={address}: Ray cannot be used: {text[:300]}",
        "what Ray said is in run.log; docs/cluster.md shows a cluster from nothing to a run",
    )


def _whole_text(error: BaseException | None) -> str:
    """Returns what an error and those that it came of say: some of Ray's say nothing themselves."""
    texts = []
    while error is not None:
        texts.append(" ".join(str(error).split()))
        error = error.__cause__ or error.__context__
    return " ".join(filter(None, texts))
