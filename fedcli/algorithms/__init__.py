"""Federated algorithms: one file each, building a `tff.learning` process."""

from fedcli.algorithms.base import AlgorithmConfig
from fedcli.registry import Registry

algorithms: Registry[AlgorithmConfig] = Registry("algorithm", __name__)
