"""Zeroing and clipping of updates by bounds that follow the clients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fedcli.columns import Columns

if TYPE_CHECKING:
    import tensorflow_federated as tff

#: What TFF's zeroing and clipping measure: bounds, and how many updates exceeded them. An attack is to be zeroed, an
#: honest update is not: neither more nor less is better.
BOUNDED_COLUMNS: Columns = {
    "zeroing_norm": None,
    "zeroed_count": None,
    "clipping_norm": None,
    "clipped_count": None,
}

#: What TFF's secure sums of numbers measure: the range that follows the clients, and how many numbers lay outside.
SECURE_COLUMNS: Columns = {
    "secure_upper_threshold": None,
    "secure_lower_threshold": None,
    "secure_upper_clipped_count": None,
    "secure_lower_clipped_count": None,
}


def bounded(
    factory: tff.aggregators.AggregationFactory,
    *,
    zeroing: bool,
    clipping: bool,
    zeroing_quantile: float = 0.98,
    clipping_quantile: float = 0.8,
) -> tff.aggregators.AggregationFactory:
    """Bounds what a factory aggregates, in the order and with the settings of `tff.learning.robust_aggregator`.

    That and `tff.learning.compression_aggregator` let one neither put another sum inside nor choose the quantiles.

    Args:
        factory: Aggregates the updates.
        zeroing: Whether an update counts as zero if its largest number is more than a bound: twice the estimated
            quantile of the clients' largest numbers, and 1.
        clipping: Whether updates are scaled down to the estimated quantile of the clients' L2 norms.
        zeroing_quantile: The quantile of zeroing.
        clipping_quantile: The quantile of clipping.
    """
    import tensorflow_federated as tff

    estimate = tff.aggregators.PrivateQuantileEstimationProcess.no_noise
    if clipping:
        norm = estimate(initial_estimate=1.0, target_quantile=clipping_quantile, learning_rate=0.2)
        factory = tff.aggregators.clipping_factory(norm, factory)
    if zeroing:
        norm = estimate(
            initial_estimate=10.0,
            target_quantile=zeroing_quantile,
            learning_rate=math.log(10.0),
            multiplier=2.0,
            increment=1.0,
        )
        factory = tff.aggregators.zeroing_factory(norm, factory)
    return factory
