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

#: TFF sends tensors of at most so many numbers whole.
_LARGEST_WHOLE = 20_000


@aggregators.register("compression")
@dataclass(frozen=True)
class Compression(AggregatorConfig):
    """8-bit uniform quantization, randomly rounded, of every tensor of more than 20,000 numbers.

    TFF packs 28 bits into each int32 (it keeps clear of the sign), so 32 bits become 9.14. A model without such a
    tensor is refused: `aggregator=robust` is the same zeroing and clipping without compression.

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

        from fedcli.aggregators.processes.large_tensors import needing_large_tensors

        factory = tff.learning.compression_aggregator(zeroing=self.zeroing, clipping=self.clipping, weighted=weighted)
        return needing_large_tensors(factory, _LARGEST_WHOLE)
