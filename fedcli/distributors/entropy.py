"""The model as multiples of a step, losslessly coded; the sources are in `fedcli.aggregators.entropy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedcli.aggregators.entropy import Entropy as EntropyCoding
from fedcli.distributors import distributors
from fedcli.distributors.coded import CodedDistributor
from fedcli.ranges import Range


@distributors.register("entropy")
@dataclass(frozen=True)
class Entropy(CodedDistributor):
    """Multiples of a step, as `aggregator=entropy`: about 2 bits a number with a step of one root mean square.

    Attributes:
        step: The step, in root mean squares of a tensor's numbers.
        rounding: `deterministic` (the smallest error) or `stochastic` (unbiased).
        rotate: Whether to rotate a tensor randomly first: each round then errs in another direction.
        code: `huffman`, or `elias` for large steps, with which most numbers become zero.
    """

    name: str = "entropy"
    step: Annotated[float, Range(1e-6, 1e4)] = 1.0
    rounding: str = "deterministic"
    rotate: bool = True
    code: str = "huffman"

    def coding(self) -> EntropyCoding:
        """Codes; see the base class."""
        return EntropyCoding(
            step=self.step,
            rounding=self.rounding,
            rotate=self.rotate,
            code=self.code,
            per_tensor=True,
            min_elements=self.min_elements,
        )
