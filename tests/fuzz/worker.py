"""The process that runs inputs: it may hang or die, which the process that started it then reports."""

import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path


def one(base: Path, seed: int, kind: str, number: int):
    """Runs one input; returns the command to repeat it and what is wrong."""
    from tests.fuzz.kinds import BY_NAME, DAMAGED, prepare

    base.mkdir(parents=True, exist_ok=True)
    if BY_NAME[kind] in DAMAGED:
        prepare(base)
    folder = Path(tempfile.mkdtemp(prefix="input-", dir=base))
    try:
        return BY_NAME[kind](folder, number, random.Random(f"{seed}:{kind}:{number}"))
    finally:
        os.chdir(base)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Reads inputs from stdin, a JSON list a line, and answers each with a line on the original stdout."""
    from fedcli.runtime.tensorflow_settings import set_up_tensorflow

    set_up_tensorflow()
    base = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        seed, kind, number = json.loads(line)
        command, fault = one(base, seed, kind, number)
        answers.write(json.dumps([command, fault]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
