"""Sparse updates: the largest numbers, or a random choice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import CodedAggregator
from fedcli.ranges import PositiveFraction, Range

if TYPE_CHECKING:
    from fedcli.compression.codec import Codec

_KINDS = ("top_k", "random_k")


@aggregators.register("sparsify")
@dataclass(frozen=True)
class Sparsify(CodedAggregator):
    """A fraction of an update's numbers, the others zero.

    The largest ones, with their places as Elias-gamma coded distances (Aji and Heafield 2017, "Sparse Communication for
    Distributed Gradient Descent", https://arxiv.org/abs/1704.05021), or a random choice, scaled up, whose places follow
    from a seed (Konečný et al. 2016, "Federated Learning: Strategies for Improving Communication Efficiency",
    https://arxiv.org/abs/1610.05492).

    Unlike in the papers of Aji and Heafield and of Sattler et al., there is no error feedback: a client does not add
    the numbers that it left out to its next update. That needs client state, and in cross-device runs few clients are
    sampled twice. Expect lower accuracy than in the papers at the same fraction.

    Attributes:
        kind: `top_k` or `random_k`.
        fraction: Which part of the numbers is sent.
        bits: Bits of a number that is sent: 32: the number itself; 2 to 16: stochastic uniform quantization; 1: its
            sign and the mean magnitude (the coding of sparse ternary compression, Sattler et al. 2019,
            https://arxiv.org/abs/1903.02891, without its error feedback).
        per_tensor: Whether the fraction is of each tensor, or of all together.
        rotate: Whether to rotate randomly first, for random_k: the choice then errs about the same everywhere.
    """

    name: str = "sparsify"
    kind: str = "top_k"
    fraction: PositiveFraction = 0.01
    bits: Annotated[int, Range(1, 32)] = 32
    per_tensor: bool = False
    rotate: bool = False

    def codec(self, shapes: Sequence[tuple[int, ...]]) -> Codec:
        """Makes the codec; see the base class."""
        from fedcli.compression.rotated import Rotated
        from fedcli.compression.sparse import RandomMask, TopK

        def sparse(size: int) -> Codec:
            values = self._values(max(round(self.fraction * size), 1))
            return TopK(size, values) if self.kind == "top_k" else RandomMask(size, values)

        size = sum(map(math.prod, shapes))
        return Rotated(size, sparse) if self.rotate else sparse(size)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        yield from super().problems()
        if self.kind not in _KINDS:
            yield "kind", f"must be one of: {', '.join(_KINDS)}"
        if 16 < self.bits < 32:
            yield "bits", "must be 32, or from 1 to 16"
        if self.bits == 1 and self.kind == "random_k":
            yield "bits", "must be more than 1 with kind=random_k: a random choice has no common magnitude"
        if self.rotate and self.kind == "top_k":
            yield "rotate", "does not go with kind=top_k: after a rotation no number is much larger than the others"

    def _values(self, count: int) -> Codec:
        from fedcli.compression.pipeline import pipeline
        from fedcli.compression.quantizers.uniform import Uniform
        from fedcli.compression.sparse import Signs, Whole

        if self.bits == 32:
            return Whole(count)
        if self.bits == 1:
            return Signs(count)
        return pipeline(count, lambda size: Uniform(size, self.bits, "stochastic"), code="packed", rotate=False)
