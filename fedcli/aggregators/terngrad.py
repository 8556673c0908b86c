"""Ternary updates; the source is in `fedcli.compression.quantizers.ternary`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator
from fedcli.ranges import Range

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
    clip: Annotated[float, Range(1e-6, 1e6)] | None = 2.5

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Ternary:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.ternary import Ternary

        return Ternary(size, self.clip)
