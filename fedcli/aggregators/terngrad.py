"""Ternary updates; the source is in `fedcli.compression.quantizers.ternary`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator

if TYPE_CHECKING:
    from fedcli.compression.quantizers.ternary import Ternary


@aggregators.register("terngrad")
@dataclass(frozen=True)
class TernGrad(QuantizedAggregator):
    """Minus, zero or plus the largest number of a tensor, at random: 1.6 bits a number, fewer with `code=elias`.

    Wen et al. 2017, "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep Learning",
    https://arxiv.org/abs/1705.07878.

    Attributes:
        clip: Numbers of a tensor are clipped to so many of its standard deviations first; None for no clipping.
    """

    name: str = "terngrad"
    clip: float | None = 2.5

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Ternary:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.ternary import Ternary

        return Ternary(size, self.clip)

    def problems(self) -> Iterator[tuple[str, str]]:
        """There is room to clip to."""
        yield from super().problems()
        if self.clip is not None and not self.clip > 0:
            yield "clip", "must be more than 0, or null for no clipping"
