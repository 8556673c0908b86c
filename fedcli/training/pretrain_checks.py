"""Checks the config of `fedcli pretrain`, with the text that it names."""

from __future__ import annotations

from fedcli.config.memory import check_model_memory
from fedcli.config.objective import check_objective
from fedcli.config.pretrain import PretrainConfig
from fedcli.errors import ConfigError
from fedcli.keys.ranges import check_ranges
from fedcli.pretrained import check_new_name
from fedcli.training.named_model import refuse_taken
from fedcli.training.text_file import check_length, read_text


def check_pretraining(config: PretrainConfig) -> PretrainConfig:
    """Refuses a config that cannot run. Reads the text, which takes far less time than anything that follows.

    Returns:
        The config.

    Raises:
        ConfigError: A value makes no sense, keys do not fit each other, or the text is none.
        DataError: The text cannot be read.
    """
    if not config.text:
        raise ConfigError("no text to train on", "give a UTF-8 file with --text FILE")
    if not config.name:
        raise ConfigError("the model has no name", "give it one with --name NAME; --pretrained NAME then finds it")
    check_new_name(config.name)
    check_ranges(config)
    if config.shards > config.batch_size:
        raise ConfigError(
            f"shards={config.shards}: batch_size={config.batch_size} has fewer sequences",
            f"set shards to at most {config.batch_size}",
        )
    check_objective(config.objective, measured=())  # no component measures anything
    if not config.output_dir.strip():
        raise ConfigError("output_dir=: must be a folder", "output_dir=. is the current one")
    config.model.check(config.spec)
    check_model_memory(config.model, config.spec, batch=config.batch_size)
    config.logger.check()
    check_length(read_text(config.text), config)
    return config


def check_new(config: PretrainConfig) -> None:
    """Refuses a new run whose name is taken.

    Raises:
        ConfigError: There is a model of that name.
    """
    refuse_taken(config)
