"""Attacks that clients are simulated to make: one file each."""

from fedcli.attacks.base import AttackConfig
from fedcli.registry import Registry

attacks: Registry[AttackConfig] = Registry("attack", __name__)
