import dataclasses
import json
import os
import subprocess
import sys

from fedcli.runs.process import Process

PRINT_PROCESS = """
import dataclasses, json
from fedcli.runs.process import Process
print(json.dumps(dataclasses.asdict(Process.current())), flush=True)
input()
"""


def test_this_process_is_alive() -> None:
    current = Process.current()
    assert current.pid == os.getpid()
    assert current.start_ticks > 0
    assert current.is_alive() is True


def test_a_process_whose_id_is_used_again_is_dead() -> None:
    current = Process.current()
    assert dataclasses.replace(current, start_ticks=current.start_ticks - 1).is_alive() is False
    assert dataclasses.replace(current, boot_id="before").is_alive() is False


def test_a_process_of_another_machine_is_unknown() -> None:
    assert dataclasses.replace(Process.current(), hostname="elsewhere").is_alive() is None


def test_a_killed_process_is_dead_even_while_a_zombie() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PRINT_PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        process = Process(**json.loads(child.stdout.readline()))
        assert process.pid == child.pid
        assert process.is_alive() is True
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped
        assert process.is_alive() is False
    assert process.is_alive() is False
