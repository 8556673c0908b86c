"""Published orderings, and what the runs of a study say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedcli.report.statistics import Difference, welch


@dataclass(frozen=True)
class Claim:
    """A published ordering.

    Attributes:
        better: Row that was better.
        worse: Row that was worse.
        source: Where, and on what.
    """

    better: str
    worse: str
    source: str

    def judged(self, accuracies: Mapping[str, Sequence[float]]) -> str | None:
        """Says whether it holds here, as an item of a list; None where one of its rows has no runs.

        Args:
            accuracies: Of each row, one for each seed.
        """
        if not accuracies.get(self.better) or not accuracies.get(self.worse):
            return None
        difference = welch(accuracies[self.better], accuracies[self.worse])
        return f"- {self.better} above {self.worse} ({self.source}): {_verdict(difference)}, {points(difference)}"


def points(difference: Difference | None) -> str:
    """Writes a difference of accuracies in points, with its 95 % interval."""
    if difference is None:
        return ""
    interval = "" if difference.low is None else f" [{100 * difference.low:+.2f}, {100 * (difference.high or 0):+.2f}]"
    return f"{100 * difference.value:+.2f}{interval}"


def _verdict(difference: Difference | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return "one seed proves nothing"
    if difference.low > 0:
        return "**holds**"
    return "**does not hold**" if difference.high < 0 else "not decided, chance can explain the difference"
