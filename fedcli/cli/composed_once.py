"""Composes the config of a sweep's job once, where Hydra does it twice."""

from __future__ import annotations

from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from omegaconf import DictConfig, OmegaConf

#: Configs that are kept at most; each takes a megabyte. Those of later jobs are composed twice.
_MOST = 100


class ComposedOnce(ConfigLoaderImpl):
    """A loader that remembers what a sweeper composes to see whether it can be, until a launcher wants it.

    Each time takes a fifth of a second.

    Args:
        config_search_path: Where the YAML files are.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Composes a job's config; a second call with the same overrides returns what the first did.

        Unless a launcher has used that for a job already: each job has a config of its own.
        """
        key = tuple(sweep_overrides)
        kept = self._composed.pop(key, None)
        # Launchers number the config that they got. One that has its number belongs to a job that has run, or runs.
        if kept is not None and OmegaConf.is_missing(kept.hydra.job, "num"):
            return kept
        config = super().load_sweep_config(master_config, sweep_overrides)
        if len(self._composed) < _MOST:
            self._composed[key] = config
        return config

    def __getstate__(self) -> dict[str, Any]:
        # Other processes, to which launchers send it, compose anew.
        return {**vars(self), "_composed": {}}
