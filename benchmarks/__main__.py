"""Measures fedcli against its references: `uv run python -m benchmarks`; see `--help`.

The data set must be reachable: see the README on `FEDCLI_ORIGIN`. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.harness import Harness, PlanError
from benchmarks.lineup import Lineup
from benchmarks.machine import machine, source
from benchmarks.processes import adopt_orphans
from benchmarks.report import report
from benchmarks.results import Results

HERE = Path(__file__).parent


def main() -> int:
    """Measures what is not measured yet, and writes the tables.

    Returns:
        1 if a side failed or sides did not do the same work, else 0.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--again", action="store_true", help="also measure what is measured already")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of each comparison (5)")
    parser.add_argument("--rounds-share", type=float, default=1.0, help="less than 1: fewer rounds, to try things out")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the tables")
    parser.add_argument("--results", type=Path, default=HERE / "results.json", help="file of results; .md beside it")
    parser.add_argument(
        "--work",
        type=Path,
        default=cache / "fedcli-benchmarks",
        help="folder for the peers' environments and fedcli's cache, outside of the project",
    )
    arguments = parser.parse_args()
    results = Results(arguments.results)
    if not arguments.report:
        try:
            _measure(arguments, results)
        except PlanError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    arguments.results.with_suffix(".md").write_text(report(results.cases))
    failed = [of for case in results.cases.values() for of in case["comparisons"].values() if "failed" in of]
    return 1 if failed else 0


def _measure(arguments: argparse.Namespace, results: Results) -> None:
    # What `kill` sends ends the sides too, which may be held just now.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    adopt_orphans()
    keys = arguments.only or list(CASES)
    if arguments.again:
        results.forget(keys)
    work = arguments.work.resolve()
    lineup = Lineup(work / "environments", work / "cache")
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fedcli-benchmarks-") as scratch:
        Harness(
            lineup=lineup,
            results=results,
            repeats=arguments.repeats,
            conditions={"source": source(), "machine": machine()},
            scratch=Path(scratch),
            say=lambda text: print(text, file=sys.stderr, flush=True),
            rounds_share=arguments.rounds_share,
        ).measure(keys)


if __name__ == "__main__":
    sys.exit(main())
