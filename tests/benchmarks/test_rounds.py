import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lineup import Lineup
from benchmarks.processes import Side, SideError
from benchmarks.rounds import Turns, UnequalWork, check_equal, compare_rounds

#: Rounds of a twentieth of a second, reported as a side does.
_SIDE = """
import json, sys, time
pipe, rounds, steps, ending = sys.argv[1], *map(int, sys.argv[2:5])
out = open(pipe, "w")
def send(**message):
    print(json.dumps(message), file=out, flush=True)
for round in range(1, rounds + 1):
    time.sleep(0.05)
    send(event="round", round=round, steps=steps, examples=steps * 20)
if ending:
    sys.exit("no more memory")
send(event="done", accuracy=0.5, loss=1.0, batch=[20], dtype="float32", versions={})
"""


class Fake(Lineup):
    """Starts sides of so many steps a round; those of a negative number fail at the end."""

    def start(self, name: str, plan: Path) -> Side:
        _, steps, count = name.split(":")
        command = [sys.executable, "-c", _SIDE]
        more = [count, str(abs(int(steps))), str(int(int(steps) < 0))]
        return Side([*command, *more], self.environment(), plan, reports=len(command))


@pytest.fixture
def lineup(tmp_path: Path) -> Lineup:
    return Fake(tmp_path, tmp_path)


def test_sides_take_turns(lineup: Lineup, tmp_path: Path) -> None:
    # A block must last longer than this process may be kept from holding a side.
    turns = Turns(repeats=2, block=15)
    measured = compare_rounds(lineup, tmp_path, ("a:5:31", "b:5:31"), turns)
    assert turns.rounds == 31
    assert [len(pair) for pair in measured["pairs"]] == [2, 2]
    assert all(seconds > 0 for pair in measured["pairs"] for seconds in pair)
    assert {name: of["steps"] for name, of in measured["work"].items()} == {"a:5:31": 155, "b:5:31": 155}
    assert measured["work"]["a:5:31"]["accuracy"] == 0.5


def test_a_held_side_stands_still(lineup: Lineup, tmp_path: Path) -> None:
    with lineup.start("a:5:1000", tmp_path) as side:
        side.wait_for_round(1)
        side.hold()
        # It is stopped when the signal has been delivered to it.
        while " T " not in Path(f"/proc/{side.process.pid}/stat").read_text():
            time.sleep(0.001)
        cpu = Path(f"/proc/{side.process.pid}/stat").read_text().split()[13:15]
        with lineup.start("b:5:4", tmp_path) as other:
            other.wait_until_done()
        assert Path(f"/proc/{side.process.pid}/stat").read_text().split()[13:15] == cpu
        side.go_on()
        side.wait_for_round(max(side.rounds) + 5)
        side.process.kill()


def test_different_steps_are_refused(lineup: Lineup, tmp_path: Path) -> None:
    with pytest.raises(UnequalWork, match="steps"):
        compare_rounds(lineup, tmp_path, ("a:5:1", "b:6:1"), Turns(0, 1))


def test_a_side_that_fails_says_why(lineup: Lineup, tmp_path: Path) -> None:
    with pytest.raises(SideError, match="exit code 1: no more memory"):
        compare_rounds(lineup, tmp_path, ("a:5:1", "b:-5:1"), Turns(0, 1))


@pytest.mark.parametrize("what", ["steps_by_round", "batch", "dtype"])
def test_equal_work_is_equal_in_everything(what: str) -> None:
    def work() -> dict[str, Any]:
        return {"steps_by_round": [5, 6], "batch": [20, 28], "dtype": "float32", "accuracy": 0.5}

    one, other = work(), work()
    check_equal({"fedcli": one, "pfl": {**other, "accuracy": 0.6}})
    other[what] = ["something else"]
    with pytest.raises(UnequalWork, match=f"{what} differ: fedcli .*, pfl"):
        check_equal({"fedcli": one, "pfl": other})


def test_long_values_are_shortened() -> None:
    with pytest.raises(UnequalWork) as refused:
        check_equal({name: {"steps_by_round": [of] * 1000} for name, of in (("a", 5), ("b", 6))})
    assert len(str(refused.value)) < 200
