"""TFF's recommended robust aggregation: the mean of updates that are zeroed and clipped by bounds that follow them.

As `tff.learning.robust_aggregator`. Adaptive clipping: Andrew et al. 2021, "Differentially Private Learning with
Adaptive Clipping", https://arxiv.org/abs/1905.03871, here without noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fedcli.aggregators import aggregators
from fedcli.aggregators.base import AggregatorConfig
from fedcli.aggregators.bounded import BOUNDED_COLUMNS, bounded
from fedcli.columns import Columns
from fedcli.ranges import Fraction

if TYPE_CHECKING:
    import tensorflow_federated as tff


@aggregators.register("robust")
@dataclass(frozen=True)
class Robust(AggregatorConfig):
    """Against corrupt and outlying clients; an attacker's update of ordinary size still counts as any other.

    The mean is by the algorithm's weights; the bounds count each client the same. They start at 21 (zeroing) and 1
    (clipping), go down beside the model, and what clients send for them goes up beside the update; both are counted.

    Attributes:
        zeroing: Whether updates with an extremely large number count as zero.
        clipping: Whether updates are clipped to an L2 norm that follows the clients.
        zeroing_quantile: Quantile of the clients' largest numbers; zero is what is above twice it, plus 1.
        clipping_quantile: Quantile of the clients' L2 norms that is clipped to.
    """

    columns: ClassVar[Columns] = BOUNDED_COLUMNS

    name: str = "robust"
    zeroing: bool = True
    clipping: bool = True
    zeroing_quantile: Fraction = 0.98
    clipping_quantile: Fraction = 0.8

    def build(self, *, weighted: bool) -> tff.aggregators.AggregationFactory:
        """Builds TFF's factory; see the base class."""
        import tensorflow_federated as tff

        return bounded(
            tff.aggregators.MeanFactory() if weighted else tff.aggregators.UnweightedMeanFactory(),
            zeroing=self.zeroing,
            clipping=self.clipping,
            zeroing_quantile=self.zeroing_quantile,
            clipping_quantile=self.clipping_quantile,
        )
