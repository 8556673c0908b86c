"""Numbers and text of unknown origin, as people read them."""

from __future__ import annotations

from fedcli.report.group import ABSENT
from fedcli.report.statistics import Difference, Summary

_MEBI = 2**20


def number(value: float | None, signed: bool = False) -> str:
    """Writes a metric: four decimals where they say something, four digits elsewhere."""
    if value is None:
        return ABSENT
    sign = "+" if signed else ""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:{sign}.4f}"
    return f"{value:{sign}.4g}"


def with_spread(summary: Summary) -> str:
    """Writes a mean and its spread: `0.9512 ± 0.0031`."""
    if summary.mean is None:
        return "not finite" if summary.diverged else ABSENT
    spread = "" if summary.spread is None else f" ± {number(summary.spread)}"
    return f"{number(summary.mean)}{spread}"


def mebibits(bits: float | None) -> str:
    """Writes bits in Mibit, 2^20 bits, as the studies do."""
    if bits is None:
        return ABSENT
    value = bits / _MEBI
    return f"{value:,.1f} Mibit" if value >= 1 or not bits else f"{value:.3g} Mibit"


def ratio(value: float | None) -> str:
    """Writes how many times fewer bits: `3.47x less`; below 1, how many times more."""
    if value is None:
        return ABSENT
    if 0.9995 <= value <= 1.0005:
        return "same"
    times = value if value > 1 else 1 / value
    return f"{f'{times:.3g}' if times < 1000 else f'{times:,.0f}'}x {'less' if value > 1 else 'more'}"


def seconds(value: float | None) -> str:
    """Writes a time."""
    return ABSENT if value is None else f"{value:,.1f} s" if value < 100 else f"{value:,.0f} s"


def whole(value: float | None) -> str:
    """Writes a mean of whole numbers."""
    return ABSENT if value is None else f"{value:,.1f}".removesuffix(".0")


def difference(value: Difference | None) -> str:
    """Writes a difference and its interval: `+0.0123 [-0.0040, +0.0286]`."""
    if value is None:
        return ABSENT
    if value.low is None or value.degrees is None:
        return number(value.value, signed=True)
    return f"{number(value.value, True)} [{number(value.low, True)}, {number(value.high, True)}]"
