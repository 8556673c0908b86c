"""Loggers: where a run's measurements go beside its own files, one file each."""

from fedcli.loggers.base import LoggerConfig
from fedcli.registry import Registry

loggers: Registry[LoggerConfig] = Registry("logger", __name__)
