"""Means, spreads and the difference of two groups of seeds. Pure Python: importing SciPy takes 0.3 s, all this 1 ms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

#: Share of repeated experiments whose interval holds the true difference.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """What the values of several seeds come to.

    Attributes:
        n: How many finite values there are.
        missing: How many runs have none: never measured, or not a finite number.
        mean: Of the finite values; None without any.
        spread: Sample standard deviation (divided by n - 1); None for fewer than two values.
        diverged: How many of the missing runs have a value that is not a finite number.
    """

    n: int
    missing: int
    mean: float | None
    spread: float | None
    diverged: int = 0


@dataclass(frozen=True)
class Difference:
    """How far a group's mean is from the baseline's.

    Attributes:
        value: Group minus baseline, in the metric's unit.
        low: Lower end of the 95 % confidence interval; None with one seed in either group.
        high: Upper end, likewise.
        degrees: Degrees of freedom by Welch and Satterthwaite; None without an interval or without any spread.
    """

    value: float
    low: float | None
    high: float | None
    degrees: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether chance alone is an unlikely reason for the difference."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def is_finite(value: float | None) -> TypeGuard[float]:
    """Tells whether there is a number that can be computed with."""
    return value is not None and math.isfinite(value)


def summarize(values: Iterable[float | None]) -> Summary:
    """Sums up one value a run."""
    values = list(values)
    finite = [value for value in values if is_finite(value)]
    missing = len(values) - len(finite)
    diverged = sum(value is not None and not math.isfinite(value) for value in values)
    if not finite:
        return Summary(0, missing, None, None, diverged)
    mean = _mean(finite)
    variance = _variance(finite)
    return Summary(len(finite), missing, mean, None if variance is None else math.sqrt(variance), diverged)


def welch(values: Sequence[float], baseline: Sequence[float], confidence: float = CONFIDENCE) -> Difference | None:
    """Compares two means whose spreads may differ.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).

    Args:
        values: Finite values of a group, one a seed.
        baseline: Those of the baseline.
        confidence: In (0, 1).

    Returns:
        The difference, without an interval if either side has one value; None if either has none.
    """
    if not values or not baseline:
        return None
    difference = _mean(values) - _mean(baseline)
    first, second = _variance(values), _variance(baseline)
    if first is None or second is None:
        return Difference(difference, None, None, None)
    a, b = first / len(values), second / len(baseline)
    if a + b == 0:
        return Difference(difference, difference, difference, None)
    # As shares of their sum: the squares of tiny variances would vanish.
    a_share, b_share = a / (a + b), b / (a + b)
    degrees = 1 / (a_share**2 / (len(values) - 1) + b_share**2 / (len(baseline) - 1))
    half = t_quantile(0.5 + confidence / 2, degrees) * math.sqrt(a + b)
    return Difference(difference, difference - half, difference + half, degrees)


def t_quantile(probability: float, degrees: float) -> float:
    """Returns the quantile of Student's t distribution, by bisection of its distribution function.

    Args:
        probability: In [0.5, 1).
        degrees: Degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while t_probability(high, degrees) < probability:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        if t_probability(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_probability(t: float, degrees: float) -> float:
    """Returns the probability that Student's t is at most `t`, for `t` >= 0 (DLMF 8.17: incomplete beta function)."""
    return 1 - _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function by its continued fraction, DLMF 8.17.22 (https://dlmf.nist.gov/8.17)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly, and by symmetry need not be used
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    # The modified Lentz method: numerator and denominator grow together.
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    fraction = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for coefficient in (even, odd):
            d = 1 / (1 + coefficient * d or tiny)
            c = 1 + coefficient / c or tiny
            fraction *= c * d
        if abs(fraction - before) <= 1e-15 * abs(fraction):
            break
    return math.exp(log_front) * fraction / a


def _mean(values: Sequence[float]) -> float:
    return _sum(values) / len(values)


def _variance(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    if min(values) == max(values):
        return 0.0  # exactly: the mean of equal numbers may be rounded
    mean = _mean(values)
    return _sum([(value - mean) * (value - mean) for value in values]) / (len(values) - 1)


def _sum(values: Iterable[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:  # losses of a diverging run
        return sum(values)
