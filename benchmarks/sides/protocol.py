"""What the harness tells a side of a comparison, and what a side tells the harness.

A side is a process that trains the rounds of a plan, one after the other, and says when each is done; the harness
takes the time, and stops the whole process while it is another side's turn. Sides run in different environments:
this module needs Python and NumPy only.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

#: Names of the files in a plan's folder.
SETTINGS, ARRAYS = "plan.json", "plan.npz"


@dataclass(frozen=True)
class Plan:
    """The work that all sides of a comparison do, as `benchmarks.export` wrote it.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The fields of `benchmarks.workload.Workload`."""
        return json.loads((self.folder / SETTINGS).read_text())

    @cached_property
    def _arrays(self) -> Mapping[str, Array]:
        with np.load(self.folder / ARRAYS) as arrays:
            return dict(arrays)

    @property
    def rounds(self) -> int:
        """Rounds to train."""
        return self.settings["rounds"]

    @property
    def batch_size(self) -> int:
        """Examples a batch; a client's last batch may be smaller."""
        return self.settings["batch_size"]

    @property
    def learning_rate(self) -> float:
        """Step size of the clients' SGD; the server adds the mean update, weighted by examples."""
        return self.settings["learning_rate"]

    @property
    def classes(self) -> int:
        """Classes, or characters of the vocabulary."""
        return int(self._arrays["classes"])

    @property
    def num_clients(self) -> int:
        """Clients a round."""
        return self.settings["clients"]

    @property
    def weights(self) -> list[Array]:
        """The initial weights, in Keras's order and layout."""
        return [self._arrays[f"weight_{i}"] for i in range(int(self._arrays["num_weights"]))]

    @property
    def test(self) -> tuple[Array, Array]:
        """Held-out inputs [n, ...] and targets [n, ...]."""
        return self._arrays["test_x"], self._arrays["test_y"]

    def client(self, round: int, index: int) -> tuple[Array, Array]:
        """Returns the examples of a round's client in the order in which it trains on them, one epoch.

        Args:
            round: The round, from 1.
            index: The client's place in the round, from 0.
        """
        start, end = self._arrays["bounds"][(round - 1) * self.num_clients + index]
        rows = self._arrays["order"][start:end]
        return self._arrays["x"][rows], self._arrays["y"][rows]

    def steps(self, num_examples: int) -> int:
        """Counts the batches of a client with so many examples."""
        return math.ceil(num_examples / self.batch_size)

    def expected(self, round: int) -> tuple[int, int]:
        """Returns the steps and the examples of a round."""
        bounds = self._arrays["bounds"][(round - 1) * self.num_clients : round * self.num_clients]
        sizes = [int(end - start) for start, end in bounds]
        return sum(map(self.steps, sizes)), sum(sizes)


class Reporter:
    """Tells the harness how far a side is.

    Args:
        pipe: Named pipe that the harness reads; None to write to stdout, for trying a side by hand.
    """

    def __init__(self, pipe: str | None) -> None:
        self._file = os.open(pipe, os.O_WRONLY) if pipe else sys.stdout.fileno()

    def round(self, round: int, steps: int, examples: int, seconds: float | None = None) -> None:
        """Says that a round is done.

        Args:
            round: The round, from 1.
            steps: Local steps of all its clients.
            examples: Examples that they trained on.
            seconds: Time of its training as the side itself took it; None where it did not.
        """
        self._send(event="round", round=round, steps=steps, examples=examples, seconds=seconds)

    def done(self, accuracy: float, loss: float | None, batch: list[int], dtype: str, packages: list[str]) -> None:
        """Says that the work is done.

        Args:
            accuracy: Share of the held-out targets that the final model predicts right.
            loss: Its mean cross-entropy on them in nats; None where it was not computed.
            batch: Shape of a full batch.
            dtype: In which numbers the model trains.
            packages: Distributions whose versions matter.
        """
        versions = {name: version(name) for name in packages}
        self._send(event="done", accuracy=accuracy, loss=loss, batch=batch, dtype=dtype, versions=versions)

    def _send(self, **message: Any) -> None:
        # One write, so that lines of several processes do not mix.
        os.write(self._file, (json.dumps(message) + "\n").encode())


def arguments() -> tuple[Plan, Reporter, list[str]]:
    """Reads a side's command line: the plan's folder, the named pipe, and options of its own."""
    folder, *rest = sys.argv[1:]
    return Plan(Path(folder)), Reporter(rest[0] if rest else None), rest[1:]
