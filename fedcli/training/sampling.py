"""Every random choice of a run, each a function of the run's seed and of what is chosen.

Nothing is drawn from a stream that advances, so a resumed run chooses as an unbroken one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


def trained_examples(
    num_examples: int, *, epochs: int, batch_size: int, max_batches: int | None, drop_remainder: bool
) -> int:
    """Counts the examples that a client trains on in a round, each as often as it does; see `example_order`."""
    total = epochs * num_examples
    if drop_remainder:
        total -= total % batch_size
    return total if max_batches is None else min(total, max_batches * batch_size)


@dataclass(frozen=True)
class ExampleOrder:
    """The order in which a client trains on its examples in one round; data, so that it can travel with the work.

    Attributes:
        seed: What the shuffling derives from; see `seed_words`.
        epochs: See `example_order`.
        batch_size: Likewise.
        max_batches: Likewise.
        drop_remainder: Likewise.
    """

    seed: tuple[int, int]
    epochs: int
    batch_size: int
    max_batches: int | None
    drop_remainder: bool

    def __call__(self, num_examples: int) -> NDArray[np.int64]:
        """Returns the indices of so many examples, [at most epochs * num_examples]."""
        return example_order(
            num_examples,
            np.random.default_rng(self.seed),
            epochs=self.epochs,
            batch_size=self.batch_size,
            max_batches=self.max_batches,
            drop_remainder=self.drop_remainder,
        )


def example_order(
    num_examples: int,
    rng: np.random.Generator,
    *,
    epochs: int,
    batch_size: int,
    max_batches: int | None,
    drop_remainder: bool,
) -> NDArray[np.int64]:
    """Returns the order in which a client trains on its examples.

    Each epoch is shuffled by itself; batches run on across epochs, as in the studies (shuffle, repeat, batch).

    Args:
        num_examples: Examples that the client has.
        rng: The generator of this client in this round.
        epochs: Passes over the examples.
        batch_size: Examples a batch.
        max_batches: At most so many batches, None for no limit.
        drop_remainder: Whether a last batch that is not full is left out.

    Returns:
        Indices of examples, [at most epochs * num_examples].
    """
    passes = [rng.permutation(num_examples) for _ in range(epochs)]
    order = np.concatenate(passes).astype(np.int64)
    return order[
        : trained_examples(
            num_examples, epochs=epochs, batch_size=batch_size, max_batches=max_batches, drop_remainder=drop_remainder
        )
    ]
