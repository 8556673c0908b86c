"""Quantization with a large step, and a lossless code that makes use of what is then frequent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.coded import QuantizedAggregator
from fedcli.ranges import Range

if TYPE_CHECKING:
    from fedcli.compression.quantizers.step import Step

#: Where rounding to multiples of a step is not to the nearest only.
ROUNDINGS = ("deterministic", "stochastic")


@aggregators.register("entropy")
@dataclass(frozen=True)
class Entropy(QuantizedAggregator):
    """Multiples of a step, of which most are zero, run-length and Elias-gamma coded, or Huffman coded.

    Mitchell et al. 2022, "Optimizing the Communication-Accuracy Trade-off in Federated Learning with Rate-Distortion
    Theory", https://arxiv.org/abs/2201.02664; Elias 1975, https://doi.org/10.1109/TIT.1975.1055349; Huffman 1952,
    https://doi.org/10.1109/JRPROC.1952.273898.

    Attributes:
        step: The step, in root mean squares of the numbers.
        rounding: `deterministic` (the smallest error) or `stochastic` (unbiased).
        per_tensor: Whether each tensor has its step, or all together one.
    """

    refused_codes: ClassVar = {"packed": "its symbols have no largest number"}

    name: str = "entropy"
    step: Annotated[float, Range(1e-6, 1e4)] = 4.0
    rounding: str = "deterministic"
    code: str = "elias"
    per_tensor: bool = False

    def quantizer(self, size: int, shapes: Sequence[tuple[int, ...]]) -> Step:
        """Makes the quantizer; see the base class."""
        from fedcli.compression.quantizers.step import Step

        return Step(size, self.step, self.rounding)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values are in their ranges."""
        yield from super().problems()
        if self.rounding not in ROUNDINGS:
            yield "rounding", f"must be one of: {', '.join(ROUNDINGS)}"
