"""Every random choice of a run, each a function of the run's seed and of what is chosen.

Nothing is drawn from a stream that advances, so a resumed run chooses as an unbroken one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import DatasetConfig


def seed_words(seed: int, *purpose: int | str) -> tuple[int, int]:
    """Derives two 64-bit numbers from the run's seed and a purpose, for example ("round", 3, "writer_07")."""
    text = repr((seed, *purpose)).encode()
    digest = hashlib.sha256(text).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def generator(seed: int, *purpose: int | str) -> np.random.Generator:
    """Returns NumPy's generator (PCG64) for one purpose."""
    return np.random.default_rng(seed_words(seed, *purpose))


def sample_clients(client_ids: Sequence[str], count: int, seed: int, round: int) -> list[str]:
    """Samples a round's clients, uniformly and without replacement.

    The work is that of the clients sampled: up to a fiftieth of all, NumPy draws by Floyd's algorithm (Bentley and
    Floyd 1987, https://doi.org/10.1145/30401.315746); beyond, it shuffles an array of all places. Only the ids of the
    sampled are made.

    Args:
        client_ids: Every client.
        count: How many to sample.
        seed: The run's seed.
        round: The round, from 1.
    """
    chosen = generator(seed, "clients", round).choice(len(client_ids), size=count, replace=False)
    return [client_ids[i] for i in chosen]


def poisson_sample(client_ids: Sequence[str], expected: int, seed: int, round: int) -> list[str]:
    """Samples each client by itself, so that there are as many as expected on average.

    How many there are is binomial, and given that, each set of so many is as likely: drawn so, the work is that of the
    clients sampled.

    Args:
        client_ids: Every client.
        expected: How many are sampled on average.
        seed: The run's seed.
        round: The round, from 1.
    """
    rng = generator(seed, "poisson", round)
    count = int(rng.binomial(len(client_ids), expected / len(client_ids)))
    return [client_ids[i] for i in rng.choice(len(client_ids), size=count, replace=False)]


@dataclass(frozen=True)
class ExampleOrder:
    """The order in which a client trains on its examples in one round; data, so that it can travel with the work.

    Each epoch is shuffled by itself; batches run on across epochs, as in the studies (shuffle, repeat, batch).

    Attributes:
        seed: What the shuffling derives from; see `seed_words`.
        epochs: Passes over the examples.
        batch_size: Examples a batch.
        max_batches: At most so many batches, None for no limit.
        drop_remainder: Whether a last batch that is not full is left out.
    """

    seed: tuple[int, int]
    epochs: int
    batch_size: int
    max_batches: int | None
    drop_remainder: bool

    @classmethod
    def of(cls, settings: DatasetConfig, seed: tuple[int, int]) -> ExampleOrder:
        """Takes the settings of a data set for training in a round."""
        return cls(
            seed,
            settings.client_epochs,
            settings.batch_size,
            settings.max_batches_per_client,
            settings.drop_remainder,
        )

    def length(self, num_examples: int) -> int:
        """Counts what a client with so many examples trains on, each example as often as it does."""
        total = self.epochs * num_examples
        if self.drop_remainder:
            total -= total % self.batch_size
        return total if self.max_batches is None else min(total, self.max_batches * self.batch_size)

    def __call__(self, num_examples: int) -> NDArray[np.int64]:
        """Returns the indices of so many examples, [`length`]."""
        rng = np.random.default_rng(self.seed)
        order = np.concatenate([rng.permutation(num_examples) for _ in range(self.epochs)]).astype(np.int64)
        return order[: self.length(num_examples)]
