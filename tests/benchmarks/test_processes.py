import sys
import time
from pathlib import Path

import pytest

from benchmarks.processes import Side, SideError, descendants

_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


class _GivenUp(Exception):
    pass


def _give_up_once_there_is_a_child(tmp_path: Path, found: list[int], memory: list[float]) -> None:
    with Side([sys.executable, "-c", _PARENT], {}, tmp_path) as side:
        while not side.output.strip():
            time.sleep(0.01)
        found += [side.process.pid, *descendants(side.process.pid)]
        assert found[1:] == [int(side.output)]
        memory += side.memory()
        raise _GivenUp


def test_leaving_a_side_ends_what_it_started(tmp_path: Path) -> None:
    pids: list[int] = []
    memory: list[float] = []
    with pytest.raises(_GivenUp):
        _give_up_once_there_is_a_child(tmp_path, pids, memory)
    assert len(pids) == 2
    # A killed process is gone a moment later, or dead until init notices.
    while any(_lives(pid) for pid in pids):
        time.sleep(0.01)
    now, peak = memory
    assert 1 < now <= peak


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('not today')"]
    with Side(command, {}, tmp_path) as side, pytest.raises(SideError, match="exit code 1: not today"):
        side.wait_for_exit()


def test_a_command_that_ends_well_was_timed(tmp_path: Path) -> None:
    with Side([sys.executable, "-c", ""], {}, tmp_path) as side:
        assert side.wait_for_exit() > 0
