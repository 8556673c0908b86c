"""Measures what a population of a million client ids costs: to open, to hold, and to sample a round from.

Run it in the checkout: `uv run python benchmarks/population.py`. It makes a database of that many clients, of an
example each, in a temporary folder (about 0.2 GB), and measures in a process of its own.

On 2 cores of a shared machine, a million clients (in brackets, ids in a list and sizes in a dict, as it was before):
opened in 3.3 s (3.8 s), 34 MiB held (165 MiB), 40 MiB at the peak (313 MiB). Sampling 10 took 0.08 ms (0.07 ms), 1,000
1.2 ms (0.6 ms: there the ids were made already), with simulated devices and 1.3 times as many asked 1.9 ms and 175 ms.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

#: Clients a round.
SAMPLES = (10, 1000, 10_000)
ROUNDS = 50


def main() -> None:
    """Prints the figures of the number of clients asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--database", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.database:
        measure(arguments.database)
        return
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "population.sqlite"
        make(database, arguments.clients)
        subprocess.run([sys.executable, __file__, "--database", str(database)], check=True)


def make(path: Path, clients: int) -> None:
    """Writes a database in TFF's form, of one example a client and ten test clients."""
    from fedcli.datasets.sqlite import add_index

    example = _example()

    def rows(split: str, count: int) -> Iterator[tuple[str, str, bytes]]:
        return ((split, f"client_{i:09d}", example) for i in range(count))

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("CREATE TABLE examples (split_name TEXT, client_id TEXT, serialized_example_proto BLOB)")
        connection.execute("CREATE TABLE client_metadata (client_id TEXT, split_name TEXT, num_examples INTEGER)")
        for split, count in (("train", clients), ("test", 10)):
            connection.executemany("INSERT INTO examples VALUES (?, ?, ?)", rows(split, count))
        connection.execute("INSERT INTO client_metadata SELECT client_id, split_name, 1 FROM examples")
        connection.commit()
        add_index(connection)


def measure(path: Path) -> None:
    """Opens a database and samples from it."""
    from fedcli.cli.hydra_bridge import HydraRequest, compose
    from fedcli.config.schema import TrainConfig
    from fedcli.datasets.base import DataSpec
    from fedcli.datasets.labelled import LabelledDataset
    from fedcli.datasets.sqlite import ClientDatabase
    from fedcli.runtime.engine.communication import Communication
    from fedcli.training.cohorts import Cohorts, Streams
    from fedcli.training.sampling import sample_clients

    spec = DataSpec("table", (1,), "float32", (), 2, 0)
    config = compose(HydraRequest("train", ["dataset.batch_size=1"], "abcdef"), TrainConfig)
    before = _resident()
    began = time.perf_counter()
    dataset = LabelledDataset(spec, ClientDatabase(path), "x", "train", "test")
    idle = config.dataset.clients_without_batches(dataset)
    opened = time.perf_counter() - began
    assert not idle
    count = len(dataset.client_ids)
    print(f"{count:,} clients: opened and checked for idle ones in {opened:.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"memory: {_resident() - before:.0f} MiB more held, {peak - before:.0f} MiB more at the peak")
    for size in SAMPLES:
        seconds = _time(lambda round, size=size: sample_clients(dataset.client_ids, size, 0, round))
        print(f"a round of {size:,}: {seconds * 1e3:.3f} ms")
    for size in SAMPLES:
        request = HydraRequest("train", [f"clients_per_round={size}", "sampling.overselect=1.3"], "abcdef")
        cohorts = Cohorts(compose(request, TrainConfig), dataset, Communication(2**20, 2**20))
        seconds = _time(lambda round, cohorts=cohorts: cohorts.cohort(round, Streams()))
        print(f"a round of {size:,} with sampling.overselect=1.3, devices simulated: {seconds * 1e3:.3f} ms")


def _time(sample: Callable[[int], object]) -> float:
    """Returns the median time of a few rounds, in seconds."""
    times = []
    for round in range(1, ROUNDS + 1):
        began = time.perf_counter()
        sample(round)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def _resident() -> float:
    """Returns the memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _example() -> bytes:
    """Serializes a tf.train.Example with x = [1.0] and label = 1, without TensorFlow."""

    def message(field: int, content: bytes) -> bytes:
        return bytes([field << 3 | 2, len(content)]) + content

    def feature(name: bytes, kind: int, values: bytes) -> bytes:
        return message(1, message(1, name) + message(2, message(kind, message(1, values))))

    one = np.float32(1).tobytes()
    return message(1, feature(b"x", 2, one) + feature(b"label", 3, bytes([1])))


if __name__ == "__main__":
    main()
