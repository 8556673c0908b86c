"""The texts that a run of a text model wrote, read from its run.log."""

from __future__ import annotations

import re
from pathlib import Path

from fedcli.errors import RunDirectoryError
from fedcli.runs.bounded import MOST_LOG, read_bounded

_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+: ", re.MULTILINE)
_SAMPLE = re.compile(r"sample after round (\d+): ")


def read_samples(run_log: Path) -> list[tuple[int, str]]:
    """Returns (round, text) of each sample, in order; none if there is no log. Texts may have several lines."""
    try:
        log = read_bounded(run_log, MOST_LOG).decode(errors="replace")
    except (OSError, RunDirectoryError):
        return []
    if "sample after round" not in log:
        return []
    samples = []
    for entry in _ENTRY.split(log):
        if found := _SAMPLE.match(entry):
            samples.append((int(found[1]), entry[found.end() :].removesuffix("\n")))
    return samples
