"""The values that a key is swept over: each of them once, in an order that stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from fedcli.errors import ConfigError
from fedcli.suggest import did_you_mean

#: No sweep has more jobs: Hydra takes a fifth of a second for each before the first begins.
MOST_JOBS = 100_000


def with_each_value_once(overrides: Sequence[str], available: Mapping[str, Sequence[str]]) -> list[str]:
    """Writes out what would give other values each time that Hydra reads it, or the same value twice.

    A glob becomes the choices that it matches, a shuffled list becomes its shuffled values; of a value that is given
    twice, the first counts.

    Args:
        overrides: KEY=VALUE arguments; those that cannot be parsed stay, and are refused by `checked_overrides`.
        available: The choices of each config group.

    Raises:
        ConfigError: A glob matches nothing, or a range has no values.
    """
    return [_with_each_value_once(override, available) for override in overrides]


def check_sweep(override: Override, available: Mapping[str, Sequence[str]]) -> None:
    """Refuses a sweep over no values, or by a pattern where there are no choices.

    Raises:
        ConfigError: It is one of these.
    """
    value = override.value()
    if isinstance(value, RangeSweep):
        _check_range(override, value)
    elif isinstance(value, Glob):
        _matching(override, value, available)


def _with_each_value_once(text: str, available: Mapping[str, Sequence[str]]) -> str:
    try:
        override = OverridesParser.create().parse_override(text)
    except (HydraException, ValueError, RecursionError):
        return text
    if override.is_delete() or not override.is_sweep_override():
        return text
    check_sweep(override, available)
    value = override.value()
    if isinstance(value, Glob):
        return _listed(override, _matching(override, value, available))
    if isinstance(value, ChoiceSweep):
        is_as_it_stays = not value.shuffle and len(set(map(_identity, value.list))) == len(value.list)
    else:
        is_as_it_stays = not (isinstance(value, RangeSweep) and value.shuffle)
    if is_as_it_stays:
        return text
    # Shuffled here: Hydra would shuffle anew each time that it reads the argument.
    once = {_identity(element): Override._get_value_element_as_str(element) for element in override.sweep_iterator()}
    return _listed(override, list(once.values()))


def _listed(override: Override, values: Sequence[str]) -> str:
    return f"{override.get_key_element()}={','.join(values)}"


def _identity(element: Any) -> tuple[str, str]:
    """Tells values apart: 0.1 and 0.10 are one value, 1 and 1.0 and true are three."""
    if isinstance(element, QuotedString):
        element = element.text
    return type(element).__name__, repr(element)


def _matching(override: Override, pattern: Glob, available: Mapping[str, Sequence[str]]) -> list[str]:
    key, line = override.key_or_group, (override.input_line or "").lstrip("+")
    if key not in available:
        raise ConfigError(f"{line}: {key} is no config group, so a pattern matches nothing", "list the values")
    names: list[str] = pattern.filter(list(available[key]))
    if not names:
        raise ConfigError(f"{line}: no {key} matches", did_you_mean(line.partition("=")[2], available[key]))
    return names


def _check_range(override: Override, value: RangeSweep) -> None:
    line = (override.input_line or "").lstrip("+")
    if value.step == 0:
        raise ConfigError(f"{line}: a range in steps of 0 has no end", _RANGE_HINT)
    if any(isinstance(one, float) and math.isinf(one) for one in (value.start, value.stop)):
        raise ConfigError(f"{line}: a range without an end", _RANGE_HINT)
    if not number_of_values(override):
        raise ConfigError(f"{line}: a range without values", _RANGE_HINT)
    if value.shuffle:
        check_number(override)


def check_number(override: Override) -> None:
    """Refuses a sweep that would be listed without an end in sight.

    Raises:
        ConfigError: There are too many values.
    """
    if number_of_values(override) > MOST_JOBS:
        line = (override.input_line or "").lstrip("+")
        raise ConfigError(f"{line}: more than {MOST_JOBS} values", _RANGE_HINT)


def number_of_values(override: Override) -> float:
    """Counts the values of a discrete sweep, a range's about, without listing them."""
    value = override.value()
    if not isinstance(value, RangeSweep):
        return len(value.list) if isinstance(value, ChoiceSweep) else 1
    start, stop, step = (math.nan if one is None else one for one in (value.start, value.stop, value.step))
    try:
        steps = float((stop - start) / step)
    except OverflowError:
        return math.inf
    return 0 if math.isnan(steps) or steps <= 0 else steps


_RANGE_HINT = "write range(START,STOP,STEP), for example range(1,4) for 1, 2 and 3; or list the values"
