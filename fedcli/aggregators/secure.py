"""Secure aggregation, as far as its arithmetic and its bits go; see `fedcli.runtime.engine.secure_sums`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.base import AggregatorConfig
from fedcli.aggregators.bounded import BOUNDED_COLUMNS, SECURE_COLUMNS
from fedcli.columns import Columns

if TYPE_CHECKING:
    import tensorflow_federated as tff


@aggregators.register("secure")
@dataclass(frozen=True)
class Secure(AggregatorConfig):
    """The (weighted) mean of updates whose numbers are clipped, quantized to 32 bits and summed as integers.

    TFF's recommended `tff.learning.secure_aggregator`, for SecAgg: Bonawitz et al. 2017, "Practical Secure Aggregation
    for Privacy-Preserving Machine Learning", https://dl.acm.org/doi/10.1145/3133956.3133982. The range of the numbers
    follows twice the 95 % quantile of the clients' largest ones. What is measured of zeroing, clipping and the range,
    and the weights, is summed securely too; the training metrics are not.

    Attributes:
        zeroing: Whether updates with an extremely large value count as zero, against corrupt clients.
        clipping: Whether updates are clipped to an L2 norm that follows the clients' 80 % quantile.
    """

    columns: ClassVar[Columns] = {**BOUNDED_COLUMNS, **SECURE_COLUMNS}
    sums_securely: ClassVar[bool] = True

    name: str = "secure"
    zeroing: bool = True
    clipping: bool = True

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        return tff.learning.secure_aggregator(zeroing=self.zeroing, clipping=self.clipping, weighted=weighted)
