"""The columns of TensorBoard's HParams tab: all keys of the config, those that the run was started with first.

The tab takes its columns from any one of the runs it is opened on, and shows the first five keys and metrics
unless told otherwise. So each run names all keys that a run of its command can have, also those of choices that
it did not make (another aggregator's), and what was swept comes first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from fedcli.components.groups import groups
from fedcli.runs.events import HParamColumn
from fedcli.runs.metrics import COLUMNS
from fedcli.runs.record import RunRecord

#: What runs are compared by; the others follow.
_FIRST_METRICS = ("eval/accuracy", "eval/loss", "train/loss", "aggregated_bits", "broadcasted_bits")


def metric_columns(extra: Sequence[str]) -> list[str]:
    """Orders the metrics.

    Args:
        extra: Names of measurements beside the common columns.
    """
    return list(dict.fromkeys([*_FIRST_METRICS, *(name for name in COLUMNS if name != "round"), *extra]))


def hparam_columns(config: Any, record: RunRecord) -> list[HParamColumn]:
    """Orders the keys: swept ones, others that were typed, the seed, the rest.

    Args:
        config: A run's typed config.
        record: What run.json says of the run.
    """
    columns = {column.name: column for column in _columns(type(config))}
    typed = [override.lstrip("+") for override in record.overrides]
    # A job's `seed=1` is not on the command line of its sweep, where `seed=1,2,3` is.
    typed.sort(key=lambda override: override in record.argv)
    keys = [key if key in columns else f"{key}.name" for key in (override.partition("=")[0] for override in typed)]
    # Where a run is kept is no hyperparameter.
    first = [key for key in keys if key in columns and not key.startswith(("output_dir", "logger."))]
    return [columns[key] for key in dict.fromkeys([*first, "seed", *columns])]


def _columns(schema: type[Any]) -> Iterator[HParamColumn]:
    """Lists every key that a config can have."""
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if field.name in groups():
            components = groups()[field.name].components
            yield HParamColumn(f"{field.name}.name", "text", tuple(components))
            for component in components.values():
                yield from (_column(f"{field.name}.{key}", hint) for key, hint in _hints(component) if key != "name")
        elif dataclasses.is_dataclass(hints[field.name]):
            yield from (_column(f"{field.name}.{key}", hint) for key, hint in _hints(hints[field.name]))
        else:
            yield _column(field.name, hints[field.name])


def _hints(structure: Any) -> list[tuple[str, Any]]:
    hints = get_type_hints(structure)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(structure)]


def _column(name: str, hint: Any) -> HParamColumn:
    kinds = set(get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]) - {type(None)}
    if kinds == {bool}:
        return HParamColumn(name, "bool")
    return HParamColumn(name, "number" if kinds <= {int, float} else "text")
