"""QSGD; the source is in `fedcli.compression.quantizers.qsgd`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator
from fedcli.ranges import Count, Range

if TYPE_CHECKING:
    from fedcli.compression.quantizers.qsgd import Qsgd

_NORMS = ("l2", "max")


@aggregators.register("qsgd")
@dataclass(frozen=True)
class QSGD(QuantizedAggregator):
    """Random rounding of numbers to even fractions of the norm of their bucket; unbiased.

    Alistarh et al. 2017, "QSGD: Communication-Efficient SGD via Gradient Quantization and Encoding",
    https://arxiv.org/abs/1610.02132.

    Attributes:
        levels: Magnitudes beside zero (the paper's s), 1 to 127.
        bucket_size: Numbers that share a norm.
        norm: `l2`, or `max`, the largest magnitude (the paper's section 4): a smaller error, fewer zeros.
    """

    name: str = "qsgd"
    levels: Annotated[int, Range(1, 127)] = 7
    bucket_size: Count = 512
    norm: str = "l2"
    code: str = "elias"

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Qsgd:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.qsgd import Qsgd

        return Qsgd(size, self.levels, self.bucket_size, self.norm)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges."""
        yield from super().problems()
        if self.norm not in _NORMS:
            yield "norm", f"must be one of: {', '.join(_NORMS)}"
