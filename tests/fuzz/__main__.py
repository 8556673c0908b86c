"""The command of the fuzzer; see the package."""

import argparse
import collections
import itertools
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.kinds import BY_NAME, KINDS, value_inputs

_ROOT = Path(__file__).parents[2]


class Worker:
    """A process that runs inputs one after the other.

    Args:
        base: The folder for its files.
        timeout: Seconds that an input may take.
    """

    def __init__(self, base: Path, timeout: float) -> None:
        self._base, self._timeout = base, timeout
        self._process: subprocess.Popen | None = None
        self._errors = base.with_suffix(".stderr")

    def run(self, seed: int, kind: str, number: int):
        """Runs an input; returns the command to repeat it and what is wrong with the answer, None for nothing."""
        if self._process is None:
            self._process = self._start()
            timeout = self._timeout + 120  # it has to import TensorFlow and to train the run that is damaged
        else:
            timeout = self._timeout
        process = self._process
        process.stdin.write(json.dumps([seed, kind, number]) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], timeout)[0]:
            self.close()
            return "", f"hang: no answer within {timeout:g} seconds"
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            text = self._errors.read_text(errors="replace") if self._errors.exists() else ""
            last = (text.strip().splitlines() or [""])[-1]
            self.close()
            return "", f"crash: the process ended with {code} {last[:300]}".rstrip()
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def _start(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FEDCLI_", "HYDRA_"))}
        with self._errors.open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker", str(self._base)],
                cwd=_ROOT,
                env={**kept, "PYTHONPATH": str(_ROOT), "HOME": str(self._base)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )


def inputs(seed: int, kinds):
    """Yields (kind, number) for ever; the keys of `check_value` in a random order, each with each value once."""
    rng = random.Random(seed)
    order = list(range(len(value_inputs())))
    rng.shuffle(order)
    counts = collections.Counter()
    weights = [KINDS[BY_NAME[kind]] for kind in kinds]
    while True:
        kind = rng.choices(kinds, weights)[0]
        number = counts[kind]
        counts[kind] += 1
        yield kind, order[number % len(order)] if kind == "check_value" else number


def main(arguments=None) -> int:
    """Runs the fuzzer; returns 0 if it found nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=sys.modules["tests.fuzz"].__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long to go on")
    parser.add_argument("--inputs", type=int, help="how many inputs to run instead")
    parser.add_argument("--kind", action="append", choices=sorted(BY_NAME), help="only these kinds")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that an input may take")
    parser.add_argument("--repeat", metavar="KIND:NUMBER", help="run one input again")
    given = parser.parse_args(arguments)
    if given.repeat:
        kind, _, number = given.repeat.partition(":")
        chosen = iter([(kind, int(number))])
    else:
        chosen = inputs(given.seed, given.kind or list(BY_NAME))
        chosen = itertools.islice(chosen, given.inputs) if given.inputs else chosen
    end = time.monotonic() + 60 * given.minutes
    counts, faults = collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix="fedcli-fuzz-", ignore_cleanup_errors=True) as base:
        worker = Worker(Path(base) / "base", given.timeout)
        try:
            for kind, number in chosen:
                if not given.inputs and not given.repeat and time.monotonic() > end:
                    break
                command, fault = worker.run(given.seed, kind, number)
                counts[kind] += 1
                if fault is not None:
                    faults.append((kind, fault))
                    print(f"{kind}:{number}  {fault}\n    {command[:1000]}")
                    print(f"    python -m tests.fuzz --seed {given.seed} --repeat {kind}:{number}", flush=True)
        except KeyboardInterrupt:
            pass
        finally:
            worker.close()
    found = collections.Counter(kind for kind, _ in faults)
    print(f"seed {given.seed}: {counts.total()} inputs, {len(faults)} not answered properly")
    for kind in BY_NAME:
        if counts[kind]:
            print(f"  {kind:12} {counts[kind]:7} inputs {found[kind]:5} findings")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
