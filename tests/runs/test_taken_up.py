"""A run goes on from a checkpoint that metrics.csv has all rows of, or not at all."""

import logging

import numpy as np
import pytest

from fedcli.errors import RunDirectoryError
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import MetricsWriter
from fedcli.runs.taken_up import checkpoint_to_resume


@pytest.fixture
def run(tmp_path):
    """A run of 6 rounds with checkpoints of rounds 2, 4 and 6."""
    run = RunDirectory(tmp_path)
    with MetricsWriter(run.metrics_csv, []) as writer:
        for round in range(7):
            writer.append({"round": round, "broadcasted_bits": 10 * round})
    store = CheckpointStore(run.checkpoints, keep=3)
    for round in (2, 4, 6):
        store.save(round, [("w", np.zeros(1))], {"broadcasted_bits": 10 * round})
    return run


def edit(run, change):
    lines = run.metrics_csv.read_bytes().splitlines(keepends=True)
    run.metrics_csv.write_bytes(b"".join(change(lines)))


def files(run):
    return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_the_newest_where_all_rows_are_there(run):
    assert checkpoint_to_resume(run).round == 6


def test_none_before_the_first_checkpoint(tmp_path):
    assert checkpoint_to_resume(RunDirectory(tmp_path)) is None


@pytest.mark.parametrize(
    ("change", "round"),
    [
        (lambda lines: lines[:-1], 4),  # cut at a line end
        (lambda lines: lines[:4], 2),
        (lambda lines: [*lines[:5], *lines[6:]], 2),  # row 4 is missing
        (lambda lines: [*lines[:-1], lines[-1][:-4]], 4),  # half a row
    ],
)
def test_missing_rows_go_back_to_the_checkpoint_before(run, change, round, caplog):
    edit(run, change)
    before = files(run)
    with caplog.at_level(logging.WARNING):
        assert checkpoint_to_resume(run).round == round
    assert "going back" in caplog.text
    assert files(run) == before


@pytest.mark.parametrize("change", [lambda lines: [], lambda lines: lines[:1], lambda lines: lines[:3]])
def test_rows_that_no_checkpoint_can_bring_back_are_refused(run, change):
    edit(run, change)
    with pytest.raises(RunDirectoryError, match="oldest checkpoint is of round 2") as error:
        checkpoint_to_resume(run)
    assert f"rm -r {run.checkpoints}" in error.value.hint
    run.metrics_csv.unlink()
    with pytest.raises(RunDirectoryError, match="has no row of round 0"):
        checkpoint_to_resume(run)


def test_the_metrics_of_another_run_are_refused(run):
    edit(run, lambda lines: [line.replace(b"60,", b"61,") for line in lines])
    with pytest.raises(RunDirectoryError, match="broadcasted_bits is 61, not 60"):
        checkpoint_to_resume(run)
