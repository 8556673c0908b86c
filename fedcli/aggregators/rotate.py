"""Uniform quantization after a random rotation; the sources are in `fedcli.compression.rotated`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedcli.aggregators import aggregators
from fedcli.aggregators.quantize import Quantize
from fedcli.ranges import Range


@aggregators.register("rotate")
@dataclass(frozen=True)
class Rotate(Quantize):
    """`quantize` with `rotate=true`: numbers of a rotated vector are close to a normal distribution, without outliers.

    Suresh et al. 2017, "Distributed Mean Estimation with Limited Communication", section 4,
    http://proceedings.mlr.press/v70/suresh17a/suresh17a.pdf.
    """

    name: str = "rotate"
    bits: Annotated[int, Range(1, 16)] = 4
    rotate: bool = True
