"""The cases: what is compared with what, and the target of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.lineup import BY_HAND, PEERS
from benchmarks.workload import Workload


@dataclass(frozen=True)
class Target:
    """What a comparison must show.

    Attributes:
        ratio: The median ratio, subject to reference, must be at most this.
        strictly: Below it, not just at it.
    """

    ratio: float
    strictly: bool = False

    def met(self, ratio: float) -> bool:
        """Says whether a ratio is good enough."""
        return ratio < self.ratio if self.strictly else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{'<' if self.strictly else '≤'} {self.ratio:.2f}"


@dataclass(frozen=True)
class RoundsCase:
    """Rounds of one workload, fedcli against each reference.

    Attributes:
        title: What tables call it.
        workload: The work; its number of rounds follows from the repeats.
        references: Names in the lineup, each with its target, if there is one.
        block: Rounds of each side in a pair.
    """

    title: str
    workload: Workload
    references: dict[str, Target | None]
    block: int = 1


@dataclass(frozen=True)
class OtherCase:
    """A case with a way of its own to measure, found by its key in `benchmarks.whole`.

    Attributes:
        title: What tables call it.
    """

    title: str


_BEAT = Target(1.0, strictly=True)
_LEVEL = Target(1.0)
_CNN = Workload("emnist", "cnn", clients=10, rounds=0)
_GRU = Workload(
    "shakespeare", "char_rnn", clients=2, rounds=0, batch_size=8, max_batches=5, min_examples=40, max_test=100
)
_HAND = dict.fromkeys(BY_HAND, _LEVEL)
_TFF = {"tff": Target(0.4)}
_PEERS = dict.fromkeys(PEERS, _BEAT)
_GRU_HAND = dict.fromkeys(BY_HAND, Target(1.1))

ROUNDS: dict[str, RoundsCase] = {
    "cnn-10": RoundsCase("EMNIST CNN, 10 clients", _CNN, {**_HAND, **_TFF, **_PEERS}, block=3),
    "cnn-50": RoundsCase("EMNIST CNN, 50 clients", replace(_CNN, clients=50), {**_HAND, **_TFF}),
    "cnn-100": RoundsCase("EMNIST CNN, 100 clients", replace(_CNN, clients=100), {**_HAND, **_TFF, **_PEERS}),
    "mlp": RoundsCase(
        "a small MLP, 10 clients (overhead)",
        replace(_CNN, model="mlp"),
        {**dict.fromkeys(BY_HAND), "tff": None, **dict.fromkeys(PEERS)},
        block=10,
    ),
    "gru": RoundsCase(
        "Shakespeare GRU, 2 clients, reset_after=true", _GRU, {**_GRU_HAND, "tff": None, "flower": None, "pfl": None}
    ),
    "gru-reset-before": RoundsCase(
        "Shakespeare GRU, 2 clients, reset_after=false", replace(_GRU, reset_after=False), _GRU_HAND
    ),
    "compression": RoundsCase(
        "EMNIST CNN, 10 clients, compression",
        replace(_CNN, aggregator="compression"),
        {"fedcli-mean": Target(1.3), "tff": None},
        block=3,
    ),
    "evaluation": RoundsCase(
        "EMNIST CNN, 10 clients, evaluated each round on all held-out digits",
        replace(_CNN, eval_every=1, max_test=None),
        dict.fromkeys(BY_HAND),
        block=3,
    ),
}

OTHERS: dict[str, OtherCase] = {
    "start-up": OtherCase("from process start, EMNIST CNN, 10 clients"),
    "sweep": OtherCase("sweeps, EMNIST CNN, 10 clients"),
    "memory-mlp": OtherCase("memory over 1,000 rounds of a small MLP"),
    "memory-cnn": OtherCase("memory over 150 rounds of the EMNIST CNN"),
    "real-size": OtherCase("EMNIST's real size (3,383 writers, 341,873 digits) against the small mirror"),
}

CASES = {**ROUNDS, **OTHERS}
