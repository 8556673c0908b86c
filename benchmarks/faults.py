"""Kills Ray workers, Ray nodes and fedcli at random moments, and compares what comes out with the undisturbed run.

    uv run --extra ray python benchmarks/faults.py --times 20

Half of the first kind of runs lose a worker, half a node (of a cluster of two, on this machine). In the second kind
fedcli itself is killed, with a Ray of its own, and resumed. Each run must end with the metrics of the undisturbed one,
and leave no process and no temporary file behind. Prints a line a run; exits with 1 if one of them is not as it must.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from fedcli.runs.record import read_record  # noqa: E402
from tests.runtime.ray_cluster import running  # noqa: E402

RUN = [
    *(
        "model=mlp",
        "model.hidden_units=[200]",
        "aggregator=compression",
        "clients_per_round=6",
        "dataset.client_epochs=20",
    ),
    *("rounds=12", "eval.every=6", "checkpoint.every=3", "runtime.group_size=2"),
]
ON_RAY = ["runtime=ray", "runtime.start_timeout=120"]
#: Longest that a run may take, seconds.
LIMIT = 600.0


class Run:
    """A fedcli process in a folder of its own, and all that it starts."""

    def __init__(self, *arguments: str) -> None:
        # A short path: Ray's sockets are in it.
        self.folder = Path(tempfile.mkdtemp(prefix="ff-", dir="/tmp"))
        self.temporary = self.folder / "t"
        self.temporary.mkdir()
        self.mark = uuid.uuid4().hex
        self.code: int | None = None
        self.start("train", *RUN, *arguments)

    def start(self, *arguments: str) -> None:
        """Starts fedcli."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fedcli", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FEDCLI_MARK": self.mark, "TMPDIR": str(self.temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> int:
        """Waits for the end and returns the exit code."""
        _, self.stderr = self.process.communicate(timeout=LIMIT)
        return self.process.returncode

    @property
    def path(self) -> Path | None:
        """The run directory, once there is one."""
        return next(self.folder.glob("outputs/*/*"), None)

    def rows(self) -> list[dict[str, str]]:
        """Reads the metrics, without what differs from run to run."""
        file = self.path / "metrics.csv" if self.path else None
        if file is None or not file.exists():
            return []
        with file.open() as lines:
            return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(lines)]

    def wait_for(self, rows: int) -> bool:
        """Waits until so many rounds are done; false if the process has ended."""
        while len(self.rows()) <= rows:
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        return True

    def left(self) -> list[str]:
        """Lists what it leaves behind after a moment to end: processes that it started, and temporary files."""
        end = time.monotonic() + 10
        while (found := [*marked(self.mark), *map(str, self.temporary.iterdir())]) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def remove(self) -> None:
        """Removes its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> int:
    """Runs what the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="runs of each kind")
    parser.add_argument("--seed", type=int, default=0, help="where the moments come from")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    whole = Run("runtime=local")
    assert whole.end() == 0, whole.stderr
    expected = whole.rows()
    whole.remove()
    bad = 0
    with secured():
        for number in range(options.times):
            node = number % 2 == 0
            lose = partial(lose_part, chance, node)
            bad += not judged(f"{'node' if node else 'worker'} {number + 1}", expected, lose)
    for number in range(options.times):
        bad += not judged(f"fedcli {number + 1}", expected, partial(lose_fedcli, chance))
    print(f"{2 * options.times - bad} of {2 * options.times} runs as they must be")
    return 1 if bad else 0


def lose_part(chance: random.Random, node: bool) -> Run:
    """Runs on a cluster of two nodes of which one, or the worker on it, is killed."""
    with running(2) as cluster:
        run = Run(*ON_RAY, f"runtime.address={cluster.address}")
        if run.wait_for(chance.randrange(8)):
            time.sleep(chance.random() * 0.5)
            workers = [pid for pid, name in cluster.processes() if name.startswith("ray::Actor")]
            if node:
                cluster.kill(chance.randrange(2))
            elif workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
        run.code = run.end()
    return run


def lose_fedcli(chance: random.Random) -> Run:
    """Kills fedcli, which has a Ray of its own, and resumes the run."""
    run = Run(*ON_RAY, "runtime.address=local")
    if chance.random() < 0.8:
        run.wait_for(chance.randrange(10))
    time.sleep(chance.random() * 2)
    run.process.kill()
    run.end()
    assert not run.left(), run.left()
    again = ["--resume", "auto"] if run.path is None else ["--resume", str(run.path)]
    run.start("train", *again, *([*RUN, *ON_RAY, "runtime.address=local"] if run.path is None else []))
    run.code = run.end()
    return run


def judged(name: str, expected: Sequence[object], lose: Callable[[], Run]) -> bool:
    """Runs, compares and tells; returns whether all is as it must be."""
    started = time.monotonic()
    run = lose()
    left, same = run.left(), run.rows() == expected
    record = read_record(run.path / "run.json") if run.path else None
    good = run.code == 0 and same and not left
    print(
        f"{name}: {'well' if good else 'NOT AS IT MUST BE'}, exit code {run.code}, "
        f"metrics {'equal' if same else 'DIFFER'}, {record.runtime_losses if record else '?'} calls lost, "
        f"{len(record.resumed) if record else '?'} times resumed, left behind: {left or 'nothing'}, "
        f"{time.monotonic() - started:.0f} s",
        flush=True,
    )
    if not good:
        print(run.stderr[-2000:])
    run.remove()
    return good


def marked(mark: str) -> list[str]:
    """Lists the commands of living processes that have a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except OSError:
            continue
    return [command for command in found if command]


@contextmanager
def secured() -> Iterator[None]:
    """Lets only this process into the clusters that are started meanwhile."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16))
    try:
        yield
    finally:
        del os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]


if __name__ == "__main__":
    sys.exit(main())
