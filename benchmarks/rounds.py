"""Rounds of fedcli against rounds of a reference, in turns: A B A B ..."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lineup import Lineup
from benchmarks.processes import Side, SideError


class UnequalWork(Exception):
    """Two sides did not do the same work; the message says what differs."""


@dataclass(frozen=True)
class Turns:
    """How rounds are measured.

    Attributes:
        repeats: Pairs.
        block: Rounds of each side in a pair: more where a round is short.
        warm_up: Rounds of each side before the first pair: TensorFlow and JAX compile in the first.
    """

    repeats: int
    block: int
    warm_up: int = 1

    @property
    def rounds(self) -> int:
        """Rounds that each side trains."""
        return self.warm_up + self.repeats * self.block


def compare_rounds(lineup: Lineup, plan: Path, names: tuple[str, str], turns: Turns) -> dict[str, Any]:
    """Measures two sides on one plan.

    Both train the same rounds from the same weights. A side is held while it is the other's turn, so whatever it does
    beside its rounds, such as preparing the next, takes its own time.

    Returns:
        `pairs`, seconds a round of (subject, reference); `work`, what each side says it did.

    Raises:
        SideError: A side failed.
        UnequalWork: They did not do the same.
        NotInstalled: A peer does not install.
    """
    with ExitStack() as stack:
        sides = []
        for name in names:
            # One after the other: a side that is quick to start would be ahead before it could be held.
            side = stack.enter_context(lineup.start(name, plan))
            side.wait_for_round(turns.warm_up)
            side.hold()
            sides.append(side)
        pairs = []
        for repeat in range(turns.repeats):
            last = turns.warm_up + (repeat + 1) * turns.block
            pairs.append([_turn(side, last) / turns.block for side in sides])
        work = {}
        for name, side in zip(names, sides, strict=True):
            side.go_on()
            work[name] = work_of(side, turns.rounds)
            side.hold()
    check_equal(work)
    return {"pairs": pairs, "work": work}


def _turn(side: Side, last: int) -> float:
    """Lets a side go on until a round is done, and returns the seconds."""
    if last in side.rounds:
        raise SideError(f"round {last} was done before its turn")
    began = time.perf_counter()
    side.go_on()
    seconds = side.wait_for_round(last) - began
    side.hold()
    return seconds


def work_of(side: Side, rounds: int) -> dict[str, Any]:
    """Waits for a side's end and returns what it says of its work."""
    done = side.wait_until_done()
    reported = [side.rounds[round] for round in range(1, rounds + 1)]
    return {
        "rounds": rounds,
        "steps": sum(of["steps"] for of in reported),
        "steps_by_round": [of["steps"] for of in reported],
        "examples": sum(of["examples"] for of in reported),
        **done,
    }


def check_equal(work: dict[str, dict[str, Any]]) -> None:
    """Refuses sides that differ in their steps, in the shape of a batch, or in precision.

    Raises:
        UnequalWork: They differ.
    """
    for what in ("steps_by_round", "batch", "dtype"):
        values = {name: of[what] for name, of in work.items()}
        if len({str(value) for value in values.values()}) > 1:
            raise UnequalWork(f"{what} differ: {_listed(values)}")


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: Sequence[Any] | str) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
