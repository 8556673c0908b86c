"""TFF's recommended lossy compression of the updates: the aggregator of the compression study.

Suresh et al. 2017, "Distributed Mean Estimation with Limited Communication",
http://proceedings.mlr.press/v70/suresh17a/suresh17a.pdf; adaptive clipping: Andrew et al. 2021,
"Differentially Private Learning with Adaptive Clipping", https://arxiv.org/abs/1905.03871.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.base import AggregatorConfig
from fedcli.aggregators.bounded import BOUNDED_COLUMNS
from fedcli.columns import Columns

if TYPE_CHECKING:
    import tensorflow_federated as tff


@aggregators.register("compression")
@dataclass(frozen=True)
class Compression(AggregatorConfig):
    """8-bit uniform quantization, randomly rounded, of every tensor of more than 20,000 numbers.

    Values are packed 28 bits to an int32 (TFF's encoding keeps clear of the sign), so 32 bits become about 9.1.

    Attributes:
        zeroing: Whether updates with an extremely large value count as zero, against corrupt clients.
        clipping: Whether updates are clipped to an L2 norm that follows the clients' 80 % quantile.
    """

    columns: ClassVar[Columns] = BOUNDED_COLUMNS

    name: str = "compression"
    zeroing: bool = True
    clipping: bool = True

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        return tff.learning.compression_aggregator(zeroing=self.zeroing, clipping=self.clipping, weighted=weighted)
