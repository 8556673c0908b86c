"""Distributors, from server to clients: one file each."""

from fedcli.distributors.base import DistributorConfig
from fedcli.registry import Registry

distributors: Registry[DistributorConfig] = Registry("distributor", __name__)
