"""`runtime=ray`: the compiled round on a Ray cluster, or on a local Ray that ends with the run.

The numbers are those of `runtime=local`, bit for bit, whatever the number of nodes and whoever of them is lost.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.errors import ConfigError
from fedcli.extras import how_to_install
from fedcli.ranges import Count, Range, Timeout
from fedcli.runtime import runtimes
from fedcli.runtime.base import RuntimeConfig

if TYPE_CHECKING:
    from fedcli.runtime.cluster.runtime import RayRuntime

_ADDRESS = re.compile(r"auto|local|(ray://)?[^\s/:]+:\d{1,5}|(ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}")


@runtimes.register("ray")
@dataclass(frozen=True)
class Ray(RuntimeConfig):
    """Executes rounds on a Ray cluster.

    Attributes:
        address: `auto` for the cluster that this machine belongs to, `local` for a Ray that is started for this run,
            `host:6379` for a cluster by its head, `ray://host:10001` for one that this machine does not belong to.
        workers: Workers at most; None for as many as the free resources of the cluster permit.
        num_cpus: Processors that a worker reserves. It uses one.
        num_gpus: GPUs that a worker reserves; a fraction shares one.
        group_size: Clients that are one call to a worker; their sums are then summed alike, see `reduction`.
        data: `path` where each node has the data set's file, `ship` to send the examples with the work.
        call_timeout: Seconds that a call to a worker may take until the worker is given up.
        tries: How often a call is tried, on other workers, until the run is given up.
        start_timeout: Seconds that Ray, and then the workers, may take to start.
        cache: Whether compiled rounds are kept on disk, so that the next run of such a config starts without TFF.
    """

    trains_here: ClassVar[bool] = False

    name: str = "ray"
    address: str = "auto"
    workers: Annotated[int, Range(1, 100_000)] | None = None
    num_cpus: Annotated[float, Range(1e-4, 1e4)] = 1.0
    num_gpus: Annotated[float, Range(0.0, 1e4)] = 0.0
    group_size: Count = 10
    data: str = "path"
    call_timeout: Timeout = 1800.0
    tries: Annotated[int, Range(1, 1000)] = 3
    start_timeout: Timeout = 120.0
    cache: bool = True

    @property
    def caches_rounds(self) -> bool:
        """As the key says; see the base class."""
        return self.cache

    @property
    def is_local(self) -> bool:
        """Whether a Ray is started for the run."""
        return self.address == "local"

    def problems(self) -> Iterator[tuple[str, str]]:
        """The address and the way of the data have one of their forms."""
        yield from super().problems()
        if not _ADDRESS.fullmatch(self.address):
            yield "address", "must be auto, local, host:6379 or ray://host:10001"
        if self.data not in ("path", "ship"):
            yield "data", "must be path or ship"

    def start(self, log_path: Path) -> RayRuntime:
        """Connects to the cluster, or starts one, in a process of its own while TensorFlow is imported.

        Raises:
            ConfigError: Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("runtime=ray: Ray is not installed", how_to_install("ray"))
        from fedcli.runtime.cluster.runtime import RayRuntime

        return RayRuntime(self, log_path)
