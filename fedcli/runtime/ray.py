"""`runtime=ray`: the compiled round on a Ray cluster, or on a local Ray that ends with the run.

The numbers are those of `runtime=local`, bit for bit, whatever the number of nodes and whoever of them is lost.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fedcli.errors import ConfigError
from fedcli.extras import how_to_install
from fedcli.runtime import runtimes
from fedcli.runtime.base import RuntimeConfig
from fedcli.runtime.cluster.settings import ClusterSettings

if TYPE_CHECKING:
    from fedcli.runtime.cluster.runtime import RayRuntime

_ADDRESS = re.compile(r"auto|local|(ray://)?[^\s/:]+:\d{1,5}|(ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}")


@runtimes.register("ray")
@dataclass(frozen=True)
class Ray(ClusterSettings, RuntimeConfig):
    """Executes rounds on a Ray cluster; see `ClusterSettings` for the other keys.

    Attributes:
        cache: Whether compiled rounds are kept on disk, so that the next run of such a config starts without TFF.
    """

    trains_here: ClassVar[bool] = False

    name: str = "ray"
    cache: bool = True

    @property
    def caches_rounds(self) -> bool:
        """As the key says; see the base class."""
        return self.cache

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
