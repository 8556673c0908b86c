"""result.json: what a run came to, for people in a hurry and for scripts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from fedcli.columns import COMMON
from fedcli.runs.atomic import read_json, write_json
from fedcli.runs.metrics import Row, Value

_NOT_METRICS = {
    "round",
    "seconds",
    "broadcasted_bits",
    "aggregated_bits",
    "broadcasted_bits_round",
    "aggregated_bits_round",
    "simulated_seconds_round",
}
#: The metrics whose best value is told, each with the sign that makes a better value larger.
_BEST = {name: better.sign for name in ("eval/accuracy", "eval/loss") if (better := COMMON[name])}


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Sums a run up.

    Args:
        rows: The rows of metrics.csv.

    Returns:
        `rounds`: rounds of training;
        `final`: by metric, its last value (of an earlier round, if it is not measured in each);
        `best`: for `eval/accuracy` (largest) and `eval/loss` (smallest), the `value` and the first `round`
        that reached it, if any did; a value that is not finite is never the best;
        `broadcasted_bits`, `aggregated_bits`: bits sent down and up in all rounds, or None;
        `seconds`: spent in all rounds.
    """
    rows = list(rows)
    final: dict[str, Value] = {}
    for row in rows:
        final.update({name: value for name, value in row.items() if value is not None})
    rounds = final.get("round")
    return {
        "rounds": 0 if rounds is None else int(rounds),
        "final": {name: value for name, value in final.items() if name not in _NOT_METRICS},
        "best": {name: best for name in _BEST if (best := _best(name, rows)) is not None},
        "broadcasted_bits": final.get("broadcasted_bits"),
        "aggregated_bits": final.get("aggregated_bits"),
        "seconds": math.fsum(value for row in rows if _is_finite(value := row.get("seconds"))),
    }


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Writes result.json whole or not at all; a number that is not finite becomes null.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    write_json(path, _finite(result))


def read_result(path: Path) -> dict[str, Any]:
    """Reads result.json.

    Raises:
        RunDirectoryError: The file cannot be read or is damaged.
    """
    return read_json(path)


def _best(name: str, rows: list[Row]) -> dict[str, Value] | None:
    measured = [row for row in rows if _is_finite(row.get(name))]
    if not measured:
        return None
    row = max(measured, key=lambda row: _BEST[name] * (row[name] or 0))
    return {"value": row[name], "round": row["round"]}


def _is_finite(value: Value) -> TypeGuard[int | float]:
    return value is not None and math.isfinite(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
