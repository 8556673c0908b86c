"""Ray with 2 local workers against `runtime=local` with 2 threads: speed, memory, and figures for docs/cluster.md.

    uv run --extra ray python benchmarks/cluster.py [--clients 100] [--examples 111] [--many 1000]

The EMNIST CNN, batches of 20, made-up digits. Speed: rounds of both runtimes take turns in one process each, so that
what else the machine does slows both. Memory: the peak of all processes together in a round of few clients and in one
of many, each in processes of their own; shared pages count once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from fedcli.runtime.tensorflow_settings import set_up_tensorflow  # noqa: E402

set_up_tensorflow()

import numpy as np  # noqa: E402

from fedcli.datasets.base import DataSpec, Examples, FederatedDataset  # noqa: E402
from fedcli.runtime.base import Runtime, State  # noqa: E402
from fedcli.runtime.local import Local  # noqa: E402
from fedcli.runtime.ray import Ray  # noqa: E402
from fedcli.runtime.round import ClientWork  # noqa: E402
from fedcli.training.sampling import ExampleOrder, seed_words  # noqa: E402

SPEC = DataSpec("image", (28, 28, 1), "float32", (), 10, 1000)
BATCH_SIZE = 20
FEW = 20


class MadeUp(FederatedDataset):
    """Digits that nobody wrote: as many as asked for, at once."""

    spec = SPEC
    client_ids: Sequence[str] = ()

    def __init__(self, examples: int) -> None:
        self.examples = examples

    def client(self, client_id: str) -> Examples:
        """Makes a client's digits."""
        rng = np.random.default_rng(int(client_id))
        return Examples(
            rng.random((self.examples, 28, 28, 1), np.float32), rng.integers(0, 10, self.examples).astype(np.int32)
        )

    def test(self, max_examples: int | None = None) -> Examples:
        """Makes digits to test on."""
        return self.client("0")


def work(dataset: FederatedDataset, round: int, count: int) -> list[ClientWork]:
    """Makes a round's work."""
    return [
        ClientWork(
            client=str(client),
            read=dataset.client,
            order=ExampleOrder(seed_words(0, "examples", round, client), 1, BATCH_SIZE, None, False),
            batch_size=BATCH_SIZE,
            seed=seed_words(0, "client", round, client),
        )
        for client in range(count)
    ]


def started(name: str, dataset: FederatedDataset, log: Path) -> tuple[Runtime, State]:
    """Starts a runtime with 2 threads or workers; returns it with the first state."""
    from fedcli.aggregators.mean import Mean
    from fedcli.algorithms.base import Parts
    from fedcli.algorithms.fed_avg import FedAvg
    from fedcli.distributors.broadcast import Broadcast
    from fedcli.models.cnn import CNN
    from fedcli.optimizers.sgd import SGD
    from fedcli.runtime.engine.compile import compile_round
    from fedcli.training.learning_model import model_fn
    from fedcli.training.weights import initial_weights, with_weights

    config = Local(threads=2) if name == "local" else Ray(address="local", workers=2)
    runtime = config.start(log)
    parts = Parts(model_fn(CNN(), SPEC), SGD(learning_rate=0.1), SGD(learning_rate=1.0), Mean(), Broadcast())
    compiled = compile_round(FedAvg().build(parts))
    runtime.load(compiled, dataset)
    return runtime, with_weights(runtime.initial_state((0, 0)), compiled, initial_weights(CNN(), SPEC, 0))


def timed(runtime: Runtime, state: State, clients: Sequence[ClientWork]) -> tuple[float, State]:
    """Runs a round; returns its seconds and the new state."""
    begun = time.perf_counter()
    result = runtime.run_round(state, clients, (0, 1))
    return time.perf_counter() - begun, result.state


def speed(count: int, examples: int, rounds: int) -> None:
    """Compares rounds of both runtimes, which take turns."""
    dataset = MadeUp(examples)
    with tempfile.TemporaryDirectory() as folder:
        runtimes = {name: started(name, dataset, Path(folder) / "log") for name in ("local", "ray")}
        seconds: dict[str, list[float]] = {name: [] for name in runtimes}
        states = {}
        for round in range(rounds + 1):
            for name, (runtime, state) in runtimes.items():
                took, states[name] = timed(runtime, state, work(dataset, round, count))
                if round:  # the first one warms up
                    seconds[name].append(took)
        for runtime, _ in runtimes.values():
            runtime.close()
    same = all(np.array_equal(a, b) for a, b in zip(states["local"], states["ray"], strict=True))
    local, ray = (statistics.median(seconds[name]) for name in ("local", "ray"))
    print(f"{count} clients of {examples} digits: local, 2 threads {local:.2f} s a round, Ray, 2 workers {ray:.2f} s")
    print(f"throughput of Ray against local: {local / ray:.2f}x; the same bits: {'yes' if same else 'NO'}")
    print(f"a client takes {2 * local / count * 1000:.0f} ms of a core")


def reckoning() -> None:
    """Measures what docs/cluster.md reckons with: the bytes of a sum, and what the server does with it."""
    from fedcli.runtime.engine.sessions import ClientSession

    dataset = MadeUp(BATCH_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        runtime: Any
        runtime, state = started("local", dataset, Path(folder) / "log")
        with runtime:
            broadcast = runtime._server.call("prepare", state, (0, 0))
            total = ClientSession(runtime._compiled).summed(work(dataset, 0, 1)[0], broadcast).total
            assert total is not None
            merges = []
            for _ in range(50):
                begun = time.perf_counter()
                runtime._server.call("merge", [*total, *total], (0, 0))
                merges.append(time.perf_counter() - begun)
    down, up = (sum(np.asarray(tensor).nbytes for tensor in tensors) for tensors in (broadcast, total))
    print(f"broadcast {down:,} bytes, a sum {up:,}")
    print(f"merging two sums takes {statistics.median(merges) * 1000:.1f} ms")


@dataclass
class Peak:
    """Watches the memory of this process and those below it."""

    bytes: int = 0
    ended: bool = False

    def watch(self) -> None:
        """Looks ten times a second."""
        while not self.ended:
            self.bytes = max(self.bytes, proportional_bytes())
            time.sleep(0.1)


def proportional_bytes() -> int:
    """Adds up the memory of this process and all below it; pages that several share are divided among them."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    total = 0
    for pid in ours:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total


def one_peak(name: str, count: int, examples: int) -> None:
    """Prints the peak of one round as JSON, for the parent."""
    dataset = MadeUp(examples)
    with tempfile.TemporaryDirectory() as folder:
        runtime, state = started(name, dataset, Path(folder) / "log")
        with runtime:
            peak = Peak()
            watcher = threading.Thread(target=peak.watch)
            watcher.start()
            seconds, _ = timed(runtime, state, work(dataset, 1, count))
            peak.ended = True
            watcher.join()
    print(json.dumps({"bytes": peak.bytes, "seconds": seconds}))


def memory(many: int, examples: int) -> None:
    """Compares the peak of a round of few clients with that of many, on both runtimes."""
    for name in ("local", "ray"):
        peaks = []
        for count in (FEW, many):
            command = [sys.executable, __file__, "--one", name, str(count), str(examples)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            peaks.append(json.loads(done.stdout)["bytes"])
        few, most = (peak / 2**20 for peak in peaks)
        print(f"{name}: {FEW} clients a round {few:,.0f} MiB, {many:,} clients {most:,.0f} MiB ({most / few:.2f}x)")


def main() -> None:
    """Runs what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=100, help="clients a round, for speed")
    parser.add_argument("--examples", type=int, default=111, help="examples a client, for speed")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each runtime, for speed")
    parser.add_argument("--many", type=int, default=1000, help="clients a round, for memory")
    parser.add_argument("--one", nargs=3, metavar=("RUNTIME", "CLIENTS", "EXAMPLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one_peak(options.one[0], int(options.one[1]), int(options.one[2]))
        return
    reckoning()
    speed(options.clients, options.examples, options.rounds)
    memory(options.many, BATCH_SIZE)


if __name__ == "__main__":
    # Workers have to find the data set's class, which they do not in a script.
    os.environ["PYTHONPATH"] = str(ROOT)
    from benchmarks import cluster

    cluster.main()
