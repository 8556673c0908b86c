"""Round numbers along an axis."""

from __future__ import annotations

import math


def linear_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Returns multiples of 1, 2 or 5 times a power of ten within [low, high]; `low` must be less than `high`."""
    raw = (high - low) / about
    if not math.isfinite(raw) or raw <= 0:
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    if power == 0:  # subnormal numbers
        return []
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Returns powers of ten within [low, high], with their 2- and 5-folds if they would be few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**power for power in range(first, last + 1)]
    few = sum(low <= value <= high for value in powers) < 4
    ticks = [factor * power for power in powers for factor in ((1, 2, 5) if few else (1,))]
    return [tick for tick in ticks if low <= tick <= high]


def tick_label(value: float) -> str:
    """Writes a tick: `0.25`, `1,500`, `2e+07`."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"
