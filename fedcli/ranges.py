"""The finite range of every numeric key, stated with the key's type: `rounds: Annotated[int, Range(0, 10**9)]`.

The dataclass of a component or of a section is the one statement of its keys. The checks of a config read the ranges
from there, and so can help and documents.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

#: The smallest normal number of a 32-bit float. TensorFlow computes with 0 in place of smaller ones.
SMALLEST_FLOAT = 2.0**-126


@dataclass(frozen=True)
class Range:
    """The numbers that a key takes, both ends included.

    In a type such as `list[Annotated[int, Range(1, 9)]]` or `Annotated[int, Range(1, 9)] | None`, the range holds for
    the list's items, or for a value that is not None.

    Attributes:
        least: The smallest.
        most: The largest; finite as `least` is.
    """

    least: float
    most: float

    def problem(self, value: float) -> str | None:
        """Returns the requirement that a number does not meet, None if it meets all of them."""
        if not self.least <= value <= self.most:  # also where it is not a number
            return f"must be {self}"
        if isinstance(value, float) and 0 < abs(value) < SMALLEST_FLOAT:
            return f"must be 0 or at least {SMALLEST_FLOAT:.3g}: 32-bit floats hold no smaller number"
        return None

    def __str__(self) -> str:
        return f"from {_text(self.least)} to {_text(self.most)}"


#: A number of things: at least one.
Count = Annotated[int, Range(1, 10**9)]
#: A number of things that may be missing.
CountOrZero = Annotated[int, Range(0, 10**9)]
#: Where random numbers come from.
Seed = Annotated[int, Range(0, 2**63 - 1)]
#: A part of a whole, or a probability.
Fraction = Annotated[float, Range(0.0, 1.0)]
#: A part of a whole that is not nothing.
PositiveFraction = Annotated[float, Range(1e-6, 1.0)]
#: How much of an average stays in a step: a 32-bit float holds the difference to 1.
Decay = Annotated[float, Range(0.0, 0.999999)]
#: The size of an optimizer's step.
LearningRate = Annotated[float, Range(1e-12, 1e6)]
#: A factor or a length that is not 0, and whose product with a number of a model is finite.
Positive = Annotated[float, Range(1e-12, 1e12)]
#: Seconds to wait.
Timeout = Annotated[float, Range(1e-3, 1e7)]


@cache
def ranges_of(cls: Any) -> dict[str, Range]:
    """Returns the ranges that a dataclass states, by the names of its fields."""
    hints = get_type_hints(cls, include_extras=True)
    found = {field.name: _range(hints[field.name]) for field in dataclasses.fields(cls)}
    return {name: range for name, range in found.items() if range is not None}


def out_of_range(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields a (field, requirement) pair for each field of a dataclass whose value is out of its range."""
    for name, range in ranges_of(type(settings)).items():  # type: ignore[arg-type]
        value = getattr(settings, name)
        is_list = isinstance(value, list | tuple)
        for item in value if is_list else [value]:
            requirement = None if item is None else range.problem(item)
            if requirement is not None:
                yield name, f"each number {requirement}" if is_list else requirement
                break


def keys_out_of_range(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yields a (key, value, requirement) triple likewise for a dataclass and those in its fields.

    Keys are written as on the command line: `eval.every`.
    """
    for name, requirement in out_of_range(settings):
        yield prefix + name, getattr(settings, name), requirement
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from keys_out_of_range(value, f"{prefix}{field.name}.")


def _range(hint: Any) -> Range | None:
    """Finds the range in a type."""
    for part in getattr(hint, "__metadata__", ()):
        if isinstance(part, Range):
            return part
    return next((found for arg in get_args(hint) if (found := _range(arg)) is not None), None)


def _text(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.12g}"
