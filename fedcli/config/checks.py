"""Checks that no single key can make: keys that must fit each other. Cheap, before anything slow starts."""

from __future__ import annotations

import dataclasses

from fedcli.algorithms.weighting import TOKENS
from fedcli.config.memory import check_model_memory
from fedcli.config.objective import check_objective
from fedcli.config.privacy_coverage import check_privacy
from fedcli.config.schema import FinetuneConfig, TrainConfig
from fedcli.errors import ConfigError
from fedcli.keys.ranges import check_ranges
from fedcli.pretrained import pretrained_names
from fedcli.schedules.constant import Constant


def check(config: TrainConfig) -> TrainConfig:
    """Refuses a config that cannot run.

    Returns:
        The config.

    Raises:
        ConfigError: A value makes no sense, or two keys do not fit each other.
    """
    _check_values(config)
    config.model.check(config.dataset.spec)
    trains_whole = config.runtime.trains_here and not config.distributor.trains_sub_models
    check_model_memory(config.model, config.dataset.spec, trains_here=trains_whole)
    config.distributor.check_model(config.model, config.dataset.spec)
    return config


def check_finetuning(config: FinetuneConfig) -> FinetuneConfig:
    """Refuses a config that cannot run.

    Returns:
        The config with the pretrained model's architecture in `model`.

    Raises:
        ConfigError: A value makes no sense, two keys do not fit each other, or there is no such pretrained model.
        DataError: The pretrained model cannot be fetched or read.
    """
    if not config.pretrained:
        raise ConfigError(
            "finetune needs a pretrained model",
            f"give --pretrained NAME, a Keras file or a run; names: {', '.join(pretrained_names())}",
        )
    _check_values(config)
    config = dataclasses.replace(config, model=config.load_pretrained().model)
    config.distributor.check_model(config.model, config.dataset.spec)
    return config


def _check_values(config: TrainConfig) -> None:
    check_ranges(config)
    for key, requirement in config.sampling.problems(config.clients_per_round):
        value = getattr(config.sampling, key)
        raise ConfigError(f"sampling.{key}={value}: {requirement}", f"set it with sampling.{key}=VALUE")
    _check_aggregator(config)
    check_privacy(config)
    check_objective(config.objective)
    if not config.output_dir.strip():
        raise ConfigError("output_dir=: must be a folder", "output_dir=. is the current one")
    config.logger.check()
    if config.distributor.trains_sub_models and not config.algorithm.takes_sub_models:
        raise ConfigError(
            f"distributor={config.distributor.name}: algorithm={config.algorithm.name} takes no sub-models",
            "choose another distributor, or algorithm=fed_avg",
        )
    config.aggregator.check_reports(config.sampling.reporting_goal(config.clients_per_round))
    _check_attack(config)
    if config.algorithm.clients_keep_state and not config.runtime.serves_kept:
        raise ConfigError(
            f"runtime={config.runtime.name}: algorithm={config.algorithm.name} keeps something for each client between "
            "rounds, and this runtime tells nothing of single clients",
            "choose runtime=local",
        )
    _check_client_optimizer(config)
    config.partition.check(config.dataset.spec)
    config.algorithm.check_data(config.dataset, config.partition)
    named = config.dataset.clients
    natural = config.dataset.spec.num_clients if named is None else len(named)
    check_clients_per_round(config, config.partition.count(natural))


def _check_aggregator(config: TrainConfig) -> None:
    name = config.aggregator.name
    if not config.aggregator.takes_weights and config.algorithm.counts_by_weight:
        by_tokens = getattr(config.algorithm, "weighted_by", None) == TOKENS
        raise ConfigError(
            f"aggregator={name}: clients must count the same, whatever their number of examples",
            f"set {'algorithm.weighted_by=uniform' if by_tokens else 'algorithm.weighted=false'}",
        )
    if config.aggregator.sums_securely and not config.runtime.sums_securely:
        raise ConfigError(
            f"runtime={config.runtime.name}: aggregator={name} sums securely, for which this runtime has no operation",
            "choose runtime=local or runtime=ray",
        )


def _check_attack(config: TrainConfig) -> None:
    config.attack.check(config.dataset.spec)
    if config.attack.changes_updates and not config.algorithm.sends_only_updates:
        raise ConfigError(
            f"attack={config.attack.name}: what clients of algorithm={config.algorithm.name} send beside their updates "
            "would stay honest",
            "choose algorithm=fed_avg, fed_prox, fed_sgd or fed_recon, or attack=label_flip",
        )


def _check_client_optimizer(config: TrainConfig) -> None:
    if config.algorithm.uses_client_optimizer:
        config.algorithm.check_optimizer(config.client_optimizer)
    elif config.client_schedule != Constant():
        raise ConfigError(
            f"client_schedule={config.client_schedule.name}: algorithm={config.algorithm.name} has no client optimizer",
            "choose server_schedule instead",
        )


def check_clients_per_round(config: TrainConfig, num_clients: int) -> None:
    """Refuses to sample more clients than there are.

    Called with the documented number before the data is loaded, and with the real one afterwards.

    Raises:
        ConfigError: There are fewer clients.
    """
    asked = config.sampling.asked(config.clients_per_round)
    if asked > num_clients >= config.clients_per_round:
        raise ConfigError(
            f"sampling.overselect={config.sampling.overselect:g} asks {asked} clients a round: "
            f"{_whose_clients(config)} {num_clients} clients",
            "lower it, or clients_per_round",
        )
    if config.clients_per_round > num_clients:
        raise ConfigError(
            f"clients_per_round={config.clients_per_round}: {_whose_clients(config)} {num_clients} clients",
            f"set clients_per_round to at most {num_clients}",
        )


def _whose_clients(config: TrainConfig) -> str:
    if config.partition.name == "natural":
        return f"dataset={config.dataset.name} has"
    return f"partition={config.partition.name} makes"
