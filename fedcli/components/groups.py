"""The config groups and the components that each offers."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from fedcli.registry import Registry


@cache
def groups() -> dict[str, Registry[Any]]:
    """Returns the registry behind each config group. Imports no TensorFlow."""
    from fedcli.aggregators import aggregators
    from fedcli.algorithms import algorithms
    from fedcli.attacks import attacks
    from fedcli.datasets import datasets
    from fedcli.distributors import distributors
    from fedcli.loggers import loggers
    from fedcli.models import models
    from fedcli.optimizers import optimizers
    from fedcli.partitions import partitions
    from fedcli.runtime import runtimes
    from fedcli.schedules import schedules

    return {
        "dataset": datasets,
        "partition": partitions,
        "model": models,
        "algorithm": algorithms,
        "client_optimizer": optimizers,
        "server_optimizer": optimizers,
        "client_schedule": schedules,
        "server_schedule": schedules,
        "aggregator": aggregators,
        "distributor": distributors,
        "attack": attacks,
        "runtime": runtimes,
        "logger": loggers,
    }


def keys_of_group(group: str) -> dict[str, list[str]]:
    """Returns the keys of a group, each with the names of the choices that have it."""
    keys: dict[str, list[str]] = {}
    for name, component in groups()[group].components.items():
        for field in fields(component):
            keys.setdefault(field.name, []).append(name)
    return keys
