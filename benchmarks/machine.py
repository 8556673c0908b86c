"""On what a measurement was taken."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: Files of this folder that make no difference to a measurement.
_NOT_MEASURING = {"report.py", "compare.py", "compression.py"}
#: Seconds that are looked at to tell whether others use the machine.
_LOOK = 0.4
#: With more cores busy than this before a comparison begins, its numbers are not to be trusted.
QUIET = 0.2


def machine() -> dict[str, Any]:
    """Describes the machine: processor, cores, memory in GB, kernel."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def processor(cpuinfo: str) -> str:
    """Names the processor from the content of /proc/cpuinfo: model, family, and the widest vectors."""

    def field(name: str) -> str:
        found = re.search(rf"^{name}\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
        return found.group(1) if found else "?"

    flags = field("flags").split()
    vectors = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    return f"{field('model name')} (family {field('cpu family')}, model {field('model')}, {vectors})"


def others() -> float:
    """Returns how many cores are busy now, while no side of the benchmark runs: others use them."""
    before = busy_seconds(Path("/proc/stat").read_text())
    began = time.perf_counter()
    time.sleep(_LOOK)
    after = busy_seconds(Path("/proc/stat").read_text())
    return (after - before) / (time.perf_counter() - began)


def busy_seconds(stat: str) -> float:
    """Sums the time that all cores have worked since the machine was started, from the content of /proc/stat."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, stat.splitlines()[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def source() -> str:
    """Identifies the code that is measured and the code that measures: results of other code are not taken over."""
    digest = hashlib.sha256()
    for folder in ("fedcli", "conf", "benchmarks"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".py", ".yaml") and file.name not in _NOT_MEASURING:
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    for package in ("tensorflow", "tensorflow-federated", "numpy"):
        digest.update(version(package).encode())
    return digest.hexdigest()[:16]
