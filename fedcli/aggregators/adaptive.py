"""Quantization that follows the run: as many bits, or as large an error, as was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import CodedAggregator
from fedcli.aggregators.entropy import ROUNDINGS
from fedcli.ranges import Range

if TYPE_CHECKING:
    from fedcli.compression.codec import Codec


@aggregators.register("adaptive")
@dataclass(frozen=True)
class Adaptive(CodedAggregator):
    """Multiples of a step, Elias-gamma coded; the server sets the step by what earlier rounds cost or lost.

    One step for all clients and numbers: for the sum that the server wants, this gives the smallest error for the bits
    (Mitchell et al. 2022, https://arxiv.org/abs/2201.02664). The step follows the logarithm of what rounds cost: a
    typical round costs what was asked for, and rounds of far larger updates lift the mean above it. Of 0.25 bits it
    made 0.29 with EMNIST's writers and 0.47 with Shakespeare's roles, who differ more (benchmarks/compression.md).

    Attributes:
        bits_per_element: Bits a number to reach; null to reach a distortion instead.
        distortion: The squared error of a client's update to reach, relative to its squared norm; null for a rate.
        rounding: `deterministic` (the smallest error) or `stochastic` (unbiased).
        per_tensor: Whether each tensor has its step, which reaches the target by itself, or all together one.
        rotate: Whether to rotate randomly first.
    """

    name: str = "adaptive"
    bits_per_element: Annotated[float, Range(1e-6, 16.0)] | None = 0.25
    distortion: Annotated[float, Range(1e-12, 0.999999)] | None = None
    rounding: str = "deterministic"
    per_tensor: bool = False
    rotate: bool = False

    def codec(self, shapes: Sequence[tuple[int, ...]]) -> Codec:
        """Makes the codec; see the base class."""
        from fedcli.compression.adaptive import AdaptiveStep
        from fedcli.compression.rotated import Rotated
        from fedcli.compression.run_length import RunLength

        def adaptive(size: int) -> Codec:
            return AdaptiveStep(
                size,
                RunLength(),
                bits_per_element=self.bits_per_element,
                distortion=self.distortion,
                rounding=self.rounding,
            )

        size = sum(map(math.prod, shapes))
        return Rotated(size, adaptive) if self.rotate else adaptive(size)

    def problems(self) -> Iterator[tuple[str, str]]:
        """One target is given, and it is in its range."""
        yield from super().problems()
        if (self.bits_per_element is None) == (self.distortion is None):
            yield "distortion", "set this or bits_per_element, and the other to null"
        if self.rounding not in ROUNDINGS:
            yield "rounding", f"must be one of: {', '.join(ROUNDINGS)}"
