"""Killed runs and full disks: what was reported as written is there, and nothing is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fedcli.runs.atomic import remove_leftovers
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory
from fedcli.runs.events import truncate_events
from fedcli.runs.lock import RunLock
from fedcli.runs.metrics import MetricsWriter, read_metrics, truncate_metrics
from fedcli.runs.record import read_record

TRAIN = """
import sys
import numpy as np
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory
from fedcli.runs.events import EventWriter
from fedcli.runs.lock import RunLock
from fedcli.runs.metrics import MetricsWriter
from fedcli.runs.record import RunRecord, write_record

run = RunDirectory(sys.argv[1])
RunLock(run.lock).acquire()
record = RunRecord.begin(id="a", command="train", argv=[], overrides=[], seed=1)
write_record(run.run_json, record)
metrics, store = MetricsWriter(run.metrics_csv), CheckpointStore(run.checkpoints)
events = EventWriter(run.events)
for round in range(10**6):
    metrics.append({"round": round, "train/loss": round / 3})
    events.scalars(round, {"train/loss": round / 3})
    events.flush()
    store.save(round, [("weights", np.full(100_000, round))], {"round": round})
    write_record(run.run_json, record)
    print(round, flush=True)
"""


def plant_leftovers(*folders: Path) -> None:
    """Leaves in each folder what a process that is killed while it writes a file leaves there."""
    code = """
import os, pathlib, signal, sys
from fedcli.runs.atomic import atomic_file
writing = []
for folder in map(pathlib.Path, sys.argv[1:]):
    folder.mkdir(exist_ok=True)
    writing.append(atomic_file(folder / "half"))
    writing[-1].__enter__().write(bytes(10**6))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, *map(str, folders)], check=False)
    assert all(len(list(folder.glob(".tmp*"))) == 1 for folder in folders)


@pytest.mark.parametrize("lines", [1, 2, 5, 9])
def test_kill_at_any_moment(tmp_path: Path, lines: int) -> None:
    run = RunDirectory(tmp_path)
    plant_leftovers(tmp_path, run.checkpoints, run.events)
    with subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        done = [int(child.stdout.readline()) for _ in range(lines)][-1]
        child.kill()  # SIGKILL, in the middle of a later round
    with RunLock(run.lock):
        record = read_record(run.run_json)
        assert record.status == "running"
        assert record.is_alive() is False
        rows = read_metrics(run.metrics_csv)
        assert len(rows) > done
        assert [row["train/loss"] for row in rows] == [round / 3 for round in range(len(rows))]
        store = CheckpointStore(run.checkpoints)
        checkpoint = store.latest()
        assert checkpoint is not None
        assert checkpoint.round >= done
        # What a run that goes on does first.
        remove_leftovers(run.path)
        store.clean(checkpoint.round)
        np.testing.assert_array_equal(checkpoint.tensors[0][1], np.full(100_000, checkpoint.round))
        truncate_metrics(run.metrics_csv, checkpoint.round)
        with MetricsWriter(run.metrics_csv) as metrics:
            metrics.append({"round": checkpoint.round + 1})
        truncate_events(run.events, checkpoint.round)
    assert list(tmp_path.rglob(".*")) == []  # no temporary file, no lock


FILL = """
import json, pathlib, sys
import numpy as np
from fedcli.errors import RunDirectoryError
from fedcli.runs import atomic
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.events import EventWriter
from fedcli.runs.metrics import MetricsWriter, read_metrics

folder = pathlib.Path(sys.argv[1])
errors = {}

def attempt(name, action):
    try:
        for round in range(1, 100_000):
            action(round)
    except RunDirectoryError as error:
        errors[name] = [error.message, error.hint]

store = CheckpointStore(folder / "checkpoints")
metrics = MetricsWriter(folder / "metrics.csv")
events = EventWriter(folder / "events")
atomic.write_text(folder / "result.json", "old")
metrics.append({"round": 0, "train/loss": None})

def add_events(round):
    events.text(round, "sample", "x" * 10_000)
    events.flush()

def grow(round):
    store.save(round, [("w", np.zeros(round * 5_000))], {"n": round})

attempt("checkpoint", grow)
attempt("events", add_events)
attempt("result", lambda round: atomic.write_text(folder / "result.json", "x" * round * 10_000))
attempt("metrics", lambda round: metrics.append({"round": round, "train/loss": 1 / round}))

rows = read_metrics(folder / "metrics.csv")
checkpoint = store.latest()
print(json.dumps({
    "errors": errors,
    "rows": [row["round"] for row in rows] == list(range(len(rows))) and len(rows) > 0,
    "whole": (folder / "metrics.csv").read_bytes().endswith(b"\\n"),
    "checkpoint": checkpoint is not None and checkpoint.tensors[0][1].shape == (checkpoint.round * 5_000,),
    "result": len((folder / "result.json").read_text()) % 10_000 in (0, 3),
    "leftovers": [path.name for path in folder.rglob(".tmp*")],
}))
"""


def check(output: str, reason: str) -> None:
    found = json.loads(output)
    errors = found.pop("errors")
    assert found == {"rows": True, "whole": True, "checkpoint": True, "result": True, "leftovers": []}
    assert set(errors) == {"checkpoint", "events", "result", "metrics"}
    for message, hint in errors.values():
        assert message.startswith("cannot write ")
        assert message.endswith(reason)
        assert "output_dir=PATH" in hint


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    done = subprocess.run(
        [sys.executable, "-c", limit + FILL, str(tmp_path)], check=True, capture_output=True, text=True
    )
    check(done.stdout, "File too large")


def test_full_disk(tmp_path: Path) -> None:
    in_small_tmpfs = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=1m none "$0" && '
    try:
        subprocess.run([*in_small_tmpfs, mount + "true", str(tmp_path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system here: {error}")
    # The mount is seen by this child only, and goes with it.
    done = subprocess.run(
        [*in_small_tmpfs, mount + 'exec "$1" -c "$2" "$0"', str(tmp_path), sys.executable, FILL],
        check=True,
        capture_output=True,
        text=True,
    )
    check(done.stdout, "No space left on device")
