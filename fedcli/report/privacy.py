"""What runs say of their differential privacy, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedcli.report.group import ABSENT
from fedcli.report.text import number

if TYPE_CHECKING:
    from fedcli.report.results import GroupResult

#: A metric, and the column that says also why there is none.
EPSILON = "epsilon"


def has_privacy(groups: Sequence[GroupResult]) -> bool:
    """Tells whether any run says anything of its privacy."""
    return any(_statements(result) for result in groups)


def epsilon(result: GroupResult) -> float | None:
    """Returns a group's final epsilon, which does not depend on the seed; None where a run states none."""
    values = [statement.get(EPSILON) for statement in _statements(result)]
    known = [float(value) for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def epsilon_text(result: GroupResult) -> str:
    """Writes a group's final epsilon, or that there is none."""
    value = epsilon(result)
    if value is not None:
        return number(value)
    return "not covered" if _statements(result) else ABSENT


def privacy_notes(groups: Sequence[GroupResult]) -> list[str]:
    """Says what the epsilons mean, in sentences, and why groups have none."""
    notes = []
    meanings: dict[str, list[str]] = {}
    for result in groups:
        for text in dict.fromkeys(_sentence(statement) for statement in _statements(result)):
            if text.startswith("epsilon "):
                meanings.setdefault(text, []).append(result.name)
            else:
                notes.append(f"{result.name} ({result.label}): {text}")
        if _statements(result) and (ended := next(filter(None, map(_ended, _statements(result))), None)):
            notes.append(f"{result.name} ({result.label}): ended {ended}")
    if len(meanings) == 1:
        notes.insert(0, next(iter(meanings)))
    elif meanings:
        notes.insert(
            0, "the epsilons do not mean the same: " + "; ".join(f"{', '.join(v)}: {k}" for k, v in meanings.items())
        )
    return notes


def _statements(result: GroupResult) -> list[Mapping[str, Any]]:
    records = [run.record for run in result.group.runs]
    return [record.privacy for record in records if record is not None and record.privacy is not None]


def _ended(statement: Mapping[str, Any]) -> str | None:
    return statement.get("ended")


def _sentence(statement: Mapping[str, Any]) -> str:
    if statement.get(EPSILON) is None:
        return f"no epsilon is stated: {statement.get('not_covered', 'the run did not say why')}"
    first = statement.get("first_model")
    begins = f"; the first model is {first}" if isinstance(first, str) else ""
    return (
        f"epsilon is that of the model at delta {number(statement.get('delta'))}; neighbours differ in a client "
        f"({statement.get('neighbours')}){begins}"
    )
