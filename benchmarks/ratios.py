"""What paired measurements say: medians, and how far the ratio of a pair spreads."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """A subject against a reference.

    Attributes:
        subject: Median of the subject's measurements.
        reference: Median of the reference's.
        median: Median of the pairs' ratios, subject to reference: below 1, the subject is less.
        low: Their lower quartile.
        high: Their upper quartile.
        pairs: Number of pairs.
    """

    subject: float
    reference: float
    median: float
    low: float
    high: float
    pairs: int


def paired(pairs: Sequence[Sequence[float]]) -> Ratio:
    """Compares measurements that were taken side by side.

    Each pair is divided by itself before anything is averaged, so that what slows the machine for a while, and so
    both measurements of a pair, falls out.

    Args:
        pairs: (subject, reference) measurements, at least one; positive.

    Raises:
        ValueError: There is no pair.
    """
    if not pairs:
        raise ValueError("no pair was measured")
    ratios = [subject / reference for subject, reference in pairs]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    subjects, references = zip(*pairs, strict=True)
    return Ratio(
        statistics.median(subjects), statistics.median(references), statistics.median(ratios), low, high, len(ratios)
    )
