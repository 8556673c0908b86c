"""Uniform quantization of updates; the sources are in `fedcli.compression.quantizers.uniform`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator
from fedcli.ranges import Range

if TYPE_CHECKING:
    from fedcli.compression.quantizers.uniform import Uniform

_ROUNDINGS = ("deterministic", "stochastic", "dithered")


@aggregators.register("quantize")
@dataclass(frozen=True)
class Quantize(QuantizedAggregator):
    """Levels at equal distances between the smallest and the largest number of a tensor.

    Suresh et al. 2017, "Distributed Mean Estimation with Limited Communication",
    http://proceedings.mlr.press/v70/suresh17a/suresh17a.pdf.

    Attributes:
        bits: Bits a number, 1 to 16.
        rounding: `deterministic`, `stochastic` (unbiased) or `dithered` (unbiased, with a smaller error).
        per_channel: Whether each column of a tensor (its last dimension: a layer's outputs) has a range of its own.
    """

    refused_codes: ClassVar = {"elias": "its symbols are level numbers, of which zero is the rarest"}

    name: str = "quantize"
    bits: Annotated[int, Range(1, 16)] = 8
    rounding: str = "stochastic"
    per_channel: bool = False

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Uniform:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.uniform import Uniform

        return Uniform(size, self.bits, self.rounding, channels=shapes[0][-1] if self.per_channel else 1)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        yield from super().problems()
        if self.rounding not in _ROUNDINGS:
            yield "rounding", f"must be one of: {', '.join(_ROUNDINGS)}"
        if self.rounding == "dithered" and self.bits == 1:
            yield "bits", "must be at least 2 with rounding=dithered, which needs one level more than the range"
        if self.per_channel and self.rotate:
            yield "per_channel", "does not go with rotate=true: a rotation mixes the channels"
        if self.code == "huffman" and self.bits > 12:
            yield "code", "huffman takes at most 12 bits: its table would outweigh what it saves"
