"""Finds the checkpoint that a run goes on from: one that goes with the rows of metrics.csv."""

from __future__ import annotations

import logging

from fedcli.errors import RunDirectoryError
from fedcli.runs.checkpoints import Checkpoint, CheckpointStore
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import last_round, read_metrics
from fedcli.shell import shown_path

_log = logging.getLogger(__name__)

#: Totals that a checkpoint and the row of its round both have.
_TOTALS = ("broadcasted_bits", "aggregated_bits")


def checkpoint_to_resume(run: RunDirectory, keep: int = 2) -> Checkpoint | None:
    """Reads the newest whole checkpoint up to which metrics.csv has the row of each round.

    Rows that a checkpoint is ahead of cannot be rebuilt from it: the run goes back to an earlier checkpoint, and the
    rounds since are trained again, to the same numbers. Changes no file.

    Args:
        run: The run directory.
        keep: How many checkpoints the run keeps.

    Returns:
        The checkpoint; None if the run saved none yet.

    Raises:
        RunDirectoryError: All checkpoints are damaged, are ahead of metrics.csv, or belong to another metrics.csv.
    """
    store = CheckpointStore(run.checkpoints, keep)
    rounds = store.rounds()
    if not rounds:
        return None
    last = last_round(run.metrics_csv)
    if last is None or last < rounds[0]:
        rows = "has no row of round 0" if last is None else f"has no row of round {last + 1}"
        raise RunDirectoryError(
            f"{run.metrics_csv} {rows}, but the oldest checkpoint is of round {rounds[0]}",
            "restore metrics.csv from a copy, or train the run again from its beginning: "
            f"rm -r {shown_path(run.checkpoints)}, then resume it",
        )
    if last < rounds[-1]:
        _log.warning(
            "%s has no row of round %d: going back from the checkpoint of round %d, the rounds since are trained again",
            run.metrics_csv,
            last + 1,
            rounds[-1],
        )
    checkpoint = store.latest(last)
    assert checkpoint is not None
    row = read_metrics(run.metrics_csv)[checkpoint.round]
    for name in _TOTALS:
        value = row.get(name)
        if value is not None and name in checkpoint.meta and value != checkpoint.meta[name]:
            raise RunDirectoryError(
                f"{run.metrics_csv} is not that of the checkpoint of round {checkpoint.round}: {name} is {value}, "
                f"not {checkpoint.meta[name]}",
                "restore metrics.csv from a copy, or start a new run",
            )
    return checkpoint
