"""Models: one file each, and what they share (losses, vocabulary)."""

from fedcli.models.base import ModelConfig
from fedcli.registry import Registry

models: Registry[ModelConfig] = Registry("model", __name__)
