"""Updates from a random subspace, or of a random choice of their numbers.

The sources are in `fedcli.compression.low_rank` and `fedcli.compression.sparse`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import CodedAggregator
from fedcli.ranges import Count, PositiveFraction, Range

if TYPE_CHECKING:
    from fedcli.compression.codec import Codec

_KINDS = ("low_rank", "random_mask")
_SCALES = ("unbiased", "minimal_error")
_WHOLE = 32


@aggregators.register("sketch")
@dataclass(frozen=True)
class Sketch(CodedAggregator):
    """Structured updates: fewer numbers, whose places or directions follow from a seed; then perhaps quantized.

    Konečný et al. 2016, "Federated Learning: Strategies for Improving Communication Efficiency",
    https://arxiv.org/abs/1610.05492.

    Attributes:
        kind: `low_rank`: the tensor, as a matrix, is projected onto a random subspace. `random_mask`: some numbers.
        rank: Dimensions of the subspace, for `low_rank`.
        fraction: Share of the numbers that are sent, for `random_mask`.
        scale: `unbiased`: what arrives is scaled up for what is missing. `minimal_error`: it is not (`low_rank` only).
        bits: Bits a number that is sent: 1 to 16, uniformly quantized with random rounding, or 32.
        rotate: Whether to rotate what is sent randomly before it is quantized.
    """

    name: str = "sketch"
    kind: str = "low_rank"
    rank: Count = 32
    fraction: PositiveFraction = 0.05
    scale: str = "unbiased"
    bits: Annotated[int, Range(1, _WHOLE)] = _WHOLE
    rotate: bool = False

    def codec(self, shapes: Sequence[tuple[int, ...]]) -> Codec:
        """Makes the codec; see the base class."""
        from fedcli.compression.low_rank import LowRank
        from fedcli.compression.sparse import RandomMask

        if self.kind == "low_rank":
            return LowRank(shapes[0], self.rank, self.scale == "unbiased", self._values)
        size = sum(map(math.prod, shapes))
        return RandomMask(size, self._values(max(round(self.fraction * size), 1)))

    def _values(self, size: int) -> Codec:
        from fedcli.compression.pipeline import pipeline
        from fedcli.compression.quantizers.uniform import Uniform
        from fedcli.compression.sparse import Whole

        if self.bits == _WHOLE:
            return Whole(size)
        return pipeline(size, lambda count: Uniform(count, self.bits, "stochastic"), code="packed", rotate=self.rotate)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        yield from super().problems()
        if self.kind not in _KINDS:
            yield "kind", f"must be one of: {', '.join(_KINDS)}"
        if self.scale not in _SCALES:
            yield "scale", f"must be one of: {', '.join(_SCALES)}"
        elif self.scale == "minimal_error" and self.kind == "random_mask":
            yield (
                "scale",
                "must be unbiased with kind=random_mask; for the numbers with the smallest error use sparsify",
            )
        if 16 < self.bits < _WHOLE:
            yield "bits", "must be from 1 to 16, or 32 for whole numbers"
        elif self.rotate and self.bits == _WHOLE:
            yield "rotate", "must be false with bits=32: a rotation helps only what is quantized"
