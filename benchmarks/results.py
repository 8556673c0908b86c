"""results.json: what was measured, kept comparison by comparison, so that a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fedcli.runs.atomic import write_json


class Results:
    """The file of results.

    Args:
        path: Where it is, there or not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.cases: dict[str, dict[str, Any]] = {}
        if path.exists():
            self.cases = json.loads(path.read_text())["cases"]

    def begin(self, case: str, conditions: Mapping[str, Any]) -> None:
        """Takes up a case: keeps what it has if it was measured under the same conditions, forgets it otherwise.

        Args:
            case: Its key.
            conditions: What a measurement depends on: code, machine, number of repeats.
        """
        if self.cases.get(case, {}).get("conditions") != conditions:
            self.cases[case] = {"conditions": dict(conditions), "comparisons": {}}

    def forget(self, cases: Iterable[str]) -> None:
        """Forgets what was measured of some cases; on disk once there is something new."""
        for case in cases:
            self.cases.pop(case, None)

    def has(self, case: str, comparison: str) -> bool:
        """Says whether a comparison is there, or is known not to be possible; what failed is tried again."""
        found = self.cases[case]["comparisons"].get(comparison)
        return found is not None and "failed" not in found

    def add(self, case: str, comparison: str, result: Mapping[str, Any]) -> None:
        """Keeps a comparison, on disk at once."""
        self.cases[case]["comparisons"][comparison] = dict(result)
        write_json(self._path, {"schema_version": 1, "cases": self.cases})
