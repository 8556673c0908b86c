"""Optimizers for clients and server: one file each. Both config groups offer all of them."""

from fedcli.optimizers.base import OptimizerConfig
from fedcli.registry import Registry

optimizers: Registry[OptimizerConfig] = Registry("optimizer", __name__)
