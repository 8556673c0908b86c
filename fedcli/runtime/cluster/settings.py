"""The settings of a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedcli.ranges import Count, Range, Timeout


@dataclass(frozen=True)
class ClusterSettings:
    """How fedcli uses a Ray cluster.

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
    """

    address: str = "auto"
    workers: Annotated[int, Range(1, 100_000)] | None = None
    num_cpus: Annotated[float, Range(1e-4, 1e4)] = 1.0
    num_gpus: Annotated[float, Range(0.0, 1e4)] = 0.0
    group_size: Count = 10
    data: str = "path"
    call_timeout: Timeout = 1800.0
    tries: Annotated[int, Range(1, 1000)] = 3
    start_timeout: Timeout = 120.0

    @property
    def is_local(self) -> bool:
        """Whether a Ray is started for the run."""
        return self.address == "local"
