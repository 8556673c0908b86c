"""A small part of the fuzzer's inputs, the same in every run, and the fuzzer's own judgement."""

import random

import pytest

from tests.fuzz import kinds
from tests.fuzz.__main__ import Worker, inputs
from tests.fuzz.commands import Answer
from tests.fuzz.damage import damaged


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Returns an empty folder; what inputs change of the process is put right afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "TMPDIR", "FEDCLI_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def findings(kind, numbers, place):
    found = []
    for number in numbers:
        folder = place / str(number)
        folder.mkdir()
        command, fault = kind(folder, number, random.Random(f"0:{kind.__name__}:{number}"))
        if fault is not None:
            found.append((number, fault, command))
    return found


def test_odd_values_of_every_key_are_answered(place):
    every = range(0, len(kinds.value_inputs()), 23)  # a prime: each key gets other values
    assert not findings(kinds.check_value, every, place)


def test_odd_arguments_are_answered(place):
    assert not findings(kinds.override, range(12), place)


def test_damaged_tables_are_answered(place):
    assert not findings(kinds.csv, range(12), place)


def test_inputs_follow_from_the_seed():
    names = ["check_value", "csv"]
    first = [next(stream) for stream in [inputs(3, names)] for _ in range(50)]
    assert first == [next(stream) for stream in [inputs(3, names)] for _ in range(50)]
    assert first != [next(stream) for stream in [inputs(4, names)] for _ in range(50)]
    assert len({number for kind, number in first if kind == "check_value"}) > 10


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(0, "done\n"), None),
        (Answer(2, "error: rounds=-1: must be from 0 to 9\n  try: set it\n"), None),
        (Answer(1, "round 1\nerror: no room\n  try: another disk\n"), None),
        (Answer(2, "error: wrong\n"), "not two lines"),
        (Answer(1, "error: a\n  try: b\nerror: a\n  try: b\n"), "not two lines"),
        (Answer(1, "error: KeyError: 'x'\n  try: the traceback is in the run's run.log; --debug\n"), "internal error"),
        (Answer(1, "Traceback (most recent call last)\n"), "traceback on stderr"),
        (Answer(None, "", "Traceback\nKeyError: 'x'"), "traceback: KeyError: 'x'"),
        (Answer(139, ""), "exit code 139"),
    ],
)
def test_answers_are_judged(answer, expected):
    fault = answer.fault()
    assert fault == expected if expected is None else fault.startswith(expected)


def test_what_stays_behind_is_found(place, monkeypatch):
    def leaves_a_file(arguments):
        (place / "left").touch()
        return Answer(0, "")

    monkeypatch.setattr(kinds, "run", leaves_a_file)
    assert kinds._judged(place, ["train"])[1] == "left behind: ['left']"


def test_a_hang_and_a_crash_are_found(tmp_path, monkeypatch):
    import subprocess
    import sys

    def process(code):
        command = [sys.executable, "-c", code]
        return lambda self: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    worker = Worker(tmp_path, timeout=-119.8)
    monkeypatch.setattr(Worker, "_start", process("import time; time.sleep(60)"))
    assert worker.run(0, "csv", 0)[1].startswith("hang")
    worker = Worker(tmp_path, timeout=60)
    monkeypatch.setattr(Worker, "_start", process("import os; input(); os.abort()"))
    assert worker.run(0, "csv", 0)[1] == "crash: the process ended with -6"


def test_damage_follows_from_the_random_numbers():
    content = b"a,b\n1,2\n3,4\n" * 20
    once = [damaged(content, random.Random(seed)) for seed in range(20)]
    assert once == [damaged(content, random.Random(seed)) for seed in range(20)]
    assert sum(changed != content for changed in once) > 15
