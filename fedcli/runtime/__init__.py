"""Executes a TFF round: in this process (local), or by TFF's own worker (tff)."""

from fedcli.registry import Registry
from fedcli.runtime.base import RuntimeConfig

runtimes: Registry[RuntimeConfig] = Registry("runtime", __name__)
