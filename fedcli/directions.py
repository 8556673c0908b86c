"""The direction in which any column of metrics.csv improves: fedcli's own, and those that components declare.

Imports nothing heavy: `compare` needs it at once.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

from fedcli.columns import RUN, Columns, Direction

if TYPE_CHECKING:
    from fedcli.registry import Component


def direction(column: str) -> Direction | None:
    """Returns the direction in which a column's value is better; None where neither is, or nobody declares it.

    Args:
        column: A name in metrics.csv. TFF puts the names of the aggregators that it passed between the component and
            its measurement: `aggregator/zeroing/clipped_count` is the aggregator's `clipped_count`.
    """
    if column in RUN:
        return RUN[column]
    group, _, measurement = column.partition("/")
    return _of_group(group).get(measurement.rpartition("/")[2])


@cache
def _of_group(group: str) -> Columns:
    """Returns what the components of a config group declare together; nothing for a group that measures nothing."""
    result: dict[str, Direction | None] = {}
    for component in _components(group):
        result |= component.columns
    return result


def _components(group: str) -> Collection[type[Component]]:
    # The registries by themselves: all groups together import NumPy, which takes longer than all of `compare`.
    if group == "aggregator":
        from fedcli.aggregators import aggregators

        return aggregators.components.values()
    if group == "distributor":
        from fedcli.distributors import distributors

        return distributors.components.values()
    return ()
