"""Refuses models that are too small for the compression of `tff.learning.compression_aggregator`."""

from __future__ import annotations

import math

import tensorflow_federated as tff

from fedcli.compression.layout import tensors_of
from fedcli.errors import ConfigError


def needing_large_tensors(
    factory: tff.aggregators.AggregationFactory, largest_whole: int
) -> tff.aggregators.AggregationFactory:
    """Returns the factory, which then refuses updates whose tensors would all be sent whole.

    Args:
        factory: Compresses tensors of more than `largest_whole` numbers.
        largest_whole: Numbers of the largest tensor that it sends whole.
    """
    kind = _Weighted if isinstance(factory, tff.aggregators.WeightedAggregationFactory) else _Unweighted
    return kind(factory, largest_whole)


class _NeedingLargeTensors:
    def __init__(self, factory: tff.aggregators.AggregationFactory, largest_whole: int) -> None:
        self._factory = factory
        self._largest_whole = largest_whole

    def create(self, value_type: tff.Type, *weight_type: tff.Type) -> tff.templates.AggregationProcess:
        largest = max((math.prod(tensor.shape) for tensor in tensors_of(value_type)), default=0)
        if largest <= self._largest_whole:
            raise ConfigError(
                f"aggregator=compression: nothing would be compressed, since it sends tensors of at most "
                f"{self._largest_whole:,} numbers whole and the largest tensor of the model has {largest:,}",
                f"choose aggregator=quantize aggregator.min_elements={max(largest, 1)}, or aggregator=robust, which "
                "zeroes and clips in the same way",
            )
        return self._factory.create(value_type, *weight_type)


class _Weighted(_NeedingLargeTensors, tff.aggregators.WeightedAggregationFactory):
    pass


class _Unweighted(_NeedingLargeTensors, tff.aggregators.UnweightedAggregationFactory):
    pass
