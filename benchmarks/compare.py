"""Times `fedcli compare` on 50 synthetic runs, start-up included: the target is 2 seconds.

Run it in the checkout: `uv run python benchmarks/compare.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.report.synthetic import write_fifty  # noqa: E402

#: Rounds of each run. The study's longest have 100; 1,000 is a night's run.
ROUNDS = (100, 1000)
REPEATS = 5


def main() -> None:
    """Prints the best and the worst of a few repeats, in seconds."""
    for rounds in ROUNDS:
        with tempfile.TemporaryDirectory() as folder:
            write_fifty(Path(folder) / "outputs", rounds=rounds)
            for options in ([], ["--json"], ["--html", f"{folder}/report.html"]):
                times = [_time(["compare", f"{folder}/outputs", "-q", *options]) for _ in range(REPEATS)]
                name = " ".join(option.removeprefix(f"{folder}/") for option in options) or "table"
                print(f"50 runs of {rounds} rounds, {name}: {min(times):.2f} to {max(times):.2f} s")


def _time(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "fedcli", *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
