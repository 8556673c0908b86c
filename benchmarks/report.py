"""results.md: the tables of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.cases import CASES, Target
from benchmarks.lineup import BY_HAND, ENTRIES
from benchmarks.machine import QUIET
from benchmarks.ratios import Ratio, paired

_HEAD = """# fedcli against what a user would use instead

Made by `python -m benchmarks`. Each row compares two processes that take turns (A B A B ...) on the same machine, each
held while the other works: the medians of both, and the median of the pairs' ratios with its quartiles; below 1, the
first is less. Both train the same clients' examples in the same order from the same weights; what each says that it did
stands in the second table of a case. Of the two hand-written loops the better one counts.
"""

_RATIOS = ["", "", "median", "against", "median", "ratio (quartiles)", "pairs", "target", ""]
_WORK = ["side", "rounds", "steps", "examples", "batch", "precision", "accuracy", "loss", "versions"]


def report(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """Writes the tables of the cases in their usual order.

    Args:
        cases: What results.json has.
    """
    shown = {key: cases[key] for key in CASES if cases.get(key, {}).get("comparisons")}
    blocks = [_HEAD, *_conditions(shown)]
    for key, case in shown.items():
        comparisons = {name: of for name, of in case["comparisons"].items() if "measure" in of}
        blocks.append(f"## {CASES[key].title} (`{key}`)\n")
        if comparisons:
            blocks.append(_table(_RATIOS, _rows(comparisons)))
        if works := _works(comparisons):
            blocks.append("\n" + _table(_WORK, works))
        blocks += ["", *_notes(case["comparisons"])]
    return "\n".join(blocks).rstrip() + "\n"


def _conditions(cases: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for where in _distinct(case["conditions"]["machine"] for case in cases.values()):
        lines.append(
            f"Machine: {where['processor']}, {where['cores']} cores, {where['memory_gb']} GB, "
            f"Linux {where['kernel']}, Python {where['python']}."
        )
    measured = [of for case in cases.values() for of in case["comparisons"].values()]
    if len(_distinct(case["conditions"]["source"] for case in cases.values())) > 1:
        lines.append("**Not of one state of the code: some cases were measured before the last change.**")
    busy = [of["others"] for of in measured if of["others"] > QUIET]
    if busy:
        lines.append(f"**Measured while others used up to {max(busy):.1f} cores of the machine: not to be trusted.**")
    if any(case["conditions"]["repeats"] < 5 or case["conditions"]["rounds_share"] < 1 for case in cases.values()):
        lines.append("**A trial with few repeats or rounds: not to be trusted.**")
    if measured:
        days = sorted(of["measured"] for of in measured)
        lines.append(f"Measured {days[0]} to {days[-1]}.")
    return ["\n\n".join(lines) + "\n"] if lines else []


def _rows(comparisons: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    rows = []
    ratios = {name: paired(of["pairs"]) for name, of in comparisons.items() if of.get("pairs")}
    slower = _slower_by_hand(comparisons, ratios)
    for name, of in comparisons.items():
        start = [of["measure"], _title(of["subject"])]
        if name not in ratios:
            outcome = f"skipped: {of['skipped']}" if "skipped" in of else f"failed: {of.get('failed', 'no result')}"
            rows.append([*start, "", _title(of["reference"]), "", _cell(outcome), "", "", ""])
            continue
        ratio = ratios[name]
        target = Target(of["target"], of["strictly"]) if "target" in of and name not in slower else None
        verdict = "" if target is None else "met" if target.met(ratio.median) else "**missed**"
        rows.append(
            [
                *start,
                _number(ratio.subject, of["unit"]),
                _title(of["reference"]),
                _number(ratio.reference, of["unit"]),
                f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
                str(ratio.pairs),
                str(target or ""),
                verdict,
            ]
        )
    return rows


def _slower_by_hand(comparisons: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, Ratio]) -> set[str]:
    """Returns the names of comparisons with that hand-written loop that is not the better one."""
    slower: set[str] = set()
    for measure in {of["measure"] for of in comparisons.values()}:
        by_hand = [
            name
            for name in ratios
            if comparisons[name]["reference"] in BY_HAND and comparisons[name]["measure"] == measure
        ]
        # By the ratio, not by seconds: each loop was measured beside a run of fedcli of its own.
        slower |= set(sorted(by_hand, key=lambda name: ratios[name].median)[:-1])
    return slower


def _works(comparisons: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    works: dict[str, Mapping[str, Any]] = {}
    for of in comparisons.values():
        works |= of.get("work", {})
    return [
        [
            _title(name),
            str(of["rounds"]),
            str(of["steps"]),
            str(of["examples"]),
            "x".join(map(str, of["batch"])),
            of["dtype"],
            f"{of['accuracy']:.4f}",
            "" if of["loss"] is None else f"{of['loss']:.4f}",
            ", ".join(f"{package} {version}" for package, version in of["versions"].items()),
        ]
        for name, of in works.items()
    ]


def _notes(comparisons: Mapping[str, Mapping[str, Any]]) -> list[str]:
    failed = [of["failed"] for name, of in comparisons.items() if name == "all" and "failed" in of]
    return [f"Failed: {_cell(reason)}\n" for reason in failed]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(name: str) -> str:
    return ENTRIES[name].title if name in ENTRIES else name


def _number(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if unit == "MB" else f"{value:.3g} {unit}"


def _cell(text: str) -> str:
    """Makes a text fit into a table's cell."""
    return " ".join(text.split()).replace("|", "/")


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
