"""Partitions: whose examples are whose. One file each."""

from fedcli.partitions.base import PartitionConfig
from fedcli.registry import Registry

partitions: Registry[PartitionConfig] = Registry("partition", __name__)
