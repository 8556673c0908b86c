"""Aggregators, from clients to server: one file each."""

from fedcli.aggregators.base import AggregatorConfig
from fedcli.registry import Registry

aggregators: Registry[AggregatorConfig] = Registry("aggregator", __name__)
