"""Uniform quantization of the model on its way to the clients.

Caldas et al. 2018, "Expanding the Reach of Federated Learning by Reducing Client Resource Requirements",
https://arxiv.org/abs/1812.07210, section 3.1; the quantizer's sources are in `fedcli.compression.quantizers.uniform`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedcli.aggregators.quantize import Quantize as Quantizing
from fedcli.distributors import distributors
from fedcli.distributors.coded import CodedDistributor
from fedcli.ranges import Range


@distributors.register("quantize")
@dataclass(frozen=True)
class Quantize(CodedDistributor):
    """Levels at equal distances between the smallest and the largest number of a tensor, as `aggregator=quantize`.

    Attributes:
        bits: Bits a number, 1 to 16.
        rounding: `deterministic`, `stochastic` (unbiased) or `dithered` (unbiased, with a smaller error).
        per_channel: Whether each column of a tensor (its last dimension: a layer's outputs) has a range of its own.
        rotate: Whether to rotate a tensor randomly first (randomized Hadamard transform).
        code: How the level numbers become bits: `packed` or `huffman`.
    """

    name: str = "quantize"
    bits: Annotated[int, Range(1, 16)] = 8
    rounding: str = "deterministic"
    per_channel: bool = False
    rotate: bool = False
    code: str = "packed"

    def coding(self) -> Quantizing:
        """Quantizes; see the base class."""
        return Quantizing(
            bits=self.bits,
            rounding=self.rounding,
            per_channel=self.per_channel,
            rotate=self.rotate,
            code=self.code,
            min_elements=self.min_elements,
        )
