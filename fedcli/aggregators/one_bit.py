"""One bit a number; the sources are in `fedcli.compression.quantizers.one_bit`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator

if TYPE_CHECKING:
    from fedcli.compression.quantizers.one_bit import OneBit

_SCALES = ("unbiased", "minimal_error")
_REASON = "its signs are as often plus as minus, which no code makes shorter"


@aggregators.register("one_bit")
@dataclass(frozen=True)
class OneBitAggregator(QuantizedAggregator):
    """The signs of a randomly rotated tensor, and a scale (DRIVE); without the rotation, signSGD with a scale.

    There is no error feedback, with which Karimireddy et al. 2019 (https://arxiv.org/abs/1901.09847) make scaled signs
    converge: a client does not add the error of its last update to the next one.

    Vargaftik et al. 2021, "DRIVE: One-bit Distributed Mean Estimation", https://arxiv.org/abs/2105.08339.

    Attributes:
        scale: `unbiased`: the errors of many clients cancel out. `minimal_error`: each client's error is the smallest.
        per_block: Whether each block that is rotated together has a scale of its own, or all of a tensor have one.
    """

    refused_codes: ClassVar = {"huffman": _REASON, "elias": _REASON}

    name: str = "one_bit"
    rotate: bool = True
    scale: str = "unbiased"
    per_block: bool = True

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> OneBit:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.one_bit import OneBit
        from fedcli.compression.rotated import block_size

        block = block_size(sum(map(math.prod, shapes))) if self.rotate and self.per_block else size
        return OneBit(size, self.scale, block)

    def problems(self) -> Iterator[tuple[str, str]]:
        """The scale exists and keeps its promise."""
        yield from super().problems()
        if self.scale not in _SCALES:
            yield "scale", f"must be one of: {', '.join(_SCALES)}"
        elif self.scale == "unbiased" and not self.rotate:
            yield (
                "scale",
                "must be minimal_error with rotate=false: without a random rotation nothing makes it unbiased",
            )
        elif self.scale == "unbiased" and not self.per_block:
            yield "scale", "must be minimal_error with per_block=false: blocks of different norms need their own scales"
