"""Quantization to levels that are dense where the numbers are.

The sources are in `fedcli.compression.quantizers.lloyd_max` and `exponential`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator
from fedcli.ranges import Count, Range

if TYPE_CHECKING:
    from fedcli.compression.quantized import Quantizer

_LEVELS = ("lloyd_max", "exponential")


@aggregators.register("quantize_nonuniform")
@dataclass(frozen=True)
class QuantizeNonuniform(QuantizedAggregator):
    """Levels fitted to the distribution of a tensor's numbers.

    Lloyd 1982, "Least squares quantization in PCM", https://doi.org/10.1109/TIT.1982.1056489; Ramezani-Kebrya et al.
    2021, "NUQSGD: Provably Communication-efficient Data-parallel SGD via Nonuniform Quantization",
    https://arxiv.org/abs/1908.06077.

    Attributes:
        levels: `lloyd_max`: those with the smallest squared error, learned from round to round, deterministic.
            `exponential`: a norm, half of it, a quarter and so on, rounded at random, unbiased (NUQSGD).
        bits: Bits a number, 1 to 8; for `exponential` from 2, of which one is the sign.
        bucket_size: Numbers that share a norm, for `exponential`.
    """

    name: str = "quantize_nonuniform"
    levels: str = "lloyd_max"
    bits: Annotated[int, Range(1, 8)] = 4
    bucket_size: Count = 512

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Quantizer:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.exponential import Exponential
        from fedcli.compression.quantizers.lloyd_max import LloydMax

        if self.levels == "lloyd_max":
            return LloydMax(size, self.bits)
        return Exponential(size, 2 ** (self.bits - 1) - 1, self.bucket_size, norm="l2")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges and fit each other."""
        yield from super().problems()
        if self.levels not in _LEVELS:
            yield "levels", f"must be one of: {', '.join(_LEVELS)}"
        if self.bits == 1 and self.levels == "exponential":
            yield "bits", "must be at least 2 with levels=exponential: one of them is the sign"
        if self.code == "elias" and self.levels == "lloyd_max":
            yield "code", "elias does not fit levels=lloyd_max, of which none is zero; choose one of: packed, huffman"
