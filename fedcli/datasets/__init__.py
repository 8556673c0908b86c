"""Federated data sets: one file each, and the download and cache that they share."""

from fedcli.datasets.base import DatasetConfig
from fedcli.registry import Registry

datasets: Registry[DatasetConfig] = Registry("dataset", __name__)
