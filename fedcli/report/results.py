"""The question and the results of a comparison of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fedcli.report.group import Group
from fedcli.report.load import Run
from fedcli.report.measure import Against, Target
from fedcli.report.statistics import Difference, Summary


@dataclass(frozen=True)
class Question:
    """The question that a comparison answers.

    Attributes:
        metric: The column of metrics.csv that counts.
        against: What curves are drawn against.
        target: A value to reach, if one is asked for.
        baseline: (key, value) pairs that choose the baseline's group; the first group without any.
    """

    metric: str = "eval/accuracy"
    against: Against = "round"
    target: Target | None = None
    baseline: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Arrivals:
    """When the runs of a group reached the target. The summaries are over those that did.

    Attributes:
        reached: How many did.
        of: How many there are.
        round: Rounds of training until then.
        aggregated_bits: Bits sent up until then.
        broadcasted_bits: Bits sent down until then.
        seconds: Of training until then.
        simulated_seconds: Of the simulated devices until then; without a value where none were.
    """

    reached: int
    of: int
    round: Summary
    aggregated_bits: Summary
    broadcasted_bits: Summary
    seconds: Summary
    simulated_seconds: Summary


@dataclass(frozen=True)
class GroupResult:
    """The results of a group of runs. Every summary is over its seeds.

    Attributes:
        name: A letter, by which curves are told apart.
        label: In what it differs from the others: `aggregator=mean`.
        group: Its config and runs.
        final: By metric, the last measured value.
        best: By metric, the best value.
        rounds: The fewest and the most rounds of its runs.
        aggregated_bits: Sent up in all rounds.
        broadcasted_bits: Sent down in all rounds.
        seconds: Of training.
        aggregated_ratio: How many times fewer bits than the baseline it sent up; below 1 it sent more.
        broadcasted_ratio: Likewise, sent down.
        arrivals: When it reached the target, if one is asked for.
        difference: Of the final metric, to the baseline; None for the baseline itself, or without values.
        on_front: Whether no other group has a metric at least as good for at most as many bits up; None where neither
            more nor less of the metric is better.
    """

    name: str
    label: str
    group: Group
    final: Mapping[str, Summary]
    best: Mapping[str, Summary]
    rounds: tuple[int, int]
    aggregated_bits: Summary
    broadcasted_bits: Summary
    seconds: Summary
    aggregated_ratio: float | None
    broadcasted_ratio: float | None
    arrivals: Arrivals | None
    difference: Difference | None
    on_front: bool | None

    @property
    def seeds(self) -> int:
        """How many runs with different seeds it has."""
        return len(self.group.runs)


@dataclass(frozen=True)
class Comparison:
    """The results of a comparison.

    Attributes:
        question: What was asked.
        groups: In the order found.
        baseline: The group that the others are compared with; None without any group.
        keys: Config keys in which the groups differ, without those that follow from others.
        label_keys: Few of them, enough to tell the groups apart.
        metrics: The columns that any run has and that can be compared.
        not_counted: Runs that enter no mean, each with its status and why.
        foreign: Folders of other programs that were passed over.
        notes: What a reader must know, in sentences.
    """

    question: Question
    groups: list[GroupResult]
    baseline: GroupResult | None
    keys: list[str]
    label_keys: list[str]
    metrics: list[str]
    not_counted: list[Run]
    foreign: list[str]
    notes: list[str] = field(default_factory=list)
