"""Checks that no single key can make: keys that must fit each other. Cheap, before anything slow starts."""

from __future__ import annotations

from fedcli.config.schema import TrainConfig
from fedcli.errors import ConfigError


def check(config: TrainConfig) -> None:
    """Refuses a config that cannot run.

    Raises:
        ConfigError: A value makes no sense, or two keys do not fit each other.
    """
    for key, value, least in (
        ("rounds", config.rounds, 0),
        ("clients_per_round", config.clients_per_round, 1),
        ("seed", config.seed, 0),
        ("eval.every", config.eval.every, 1),
        ("eval.batch_size", config.eval.batch_size, 1),
        ("eval.max_examples", config.eval.max_examples, 1),
        ("checkpoint.every", config.checkpoint.every, 1),
        ("checkpoint.keep", config.checkpoint.keep, 1),
        ("dataset.batch_size", config.dataset.batch_size, 1),
        ("dataset.client_epochs", config.dataset.client_epochs, 1),
        ("dataset.max_batches_per_client", config.dataset.max_batches_per_client, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{key}={value}: must be at least {least}", f"set it with {key}=VALUE")
    if not config.output_dir.strip():
        raise ConfigError("output_dir=: must be a folder", "output_dir=. is the current one")
    config.model.check(config.dataset.spec)
    check_clients_per_round(config, config.dataset.spec.num_clients)


def check_clients_per_round(config: TrainConfig, num_clients: int) -> None:
    """Refuses to sample more clients than there are.

    Called with the documented number before the data is loaded, and with the real one afterwards.

    Raises:
        ConfigError: There are fewer clients.
    """
    if config.clients_per_round > num_clients:
        raise ConfigError(
            f"clients_per_round={config.clients_per_round}: dataset={config.dataset.name} has {num_clients} clients",
            f"set clients_per_round to at most {num_clients}",
        )
