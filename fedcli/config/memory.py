"""Refuses a model or a batch that the machine's memory cannot hold, before TensorFlow dies of it.

The estimates are lower bounds: whatever they refuse cannot run.
"""

from __future__ import annotations

from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import DataSpec, FederatedDataset
from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from fedcli.runtime.memory import memory_limit

#: Arrays of the model's size where clients train: the server's model, a client's model, its gradient, its update.
_TRAINED_HERE = 4
#: Arrays of the model's size on the server: its model and the clients' update.
_TRAINED_ELSEWHERE = 2


def check_model_memory(model: ModelConfig, spec: DataSpec, *, trains_here: bool = True, batch: int = 1) -> None:
    """Refuses a model whose training does not fit into the memory.

    Args:
        model: The model. Nothing is known of one without a size.
        spec: The data set's inputs and targets.
        trains_here: Whether this machine trains models of this size, or has the server's only.
        batch: Examples that a batch has at least.

    Raises:
        ConfigError: It does not fit.
    """
    size, limit = model.size(spec), memory_limit()
    if size is None or limit is None:
        return
    copies = _TRAINED_HERE if trains_here else _TRAINED_ELSEWHERE
    needed = size.training_bytes(batch if trains_here else 0, copies)
    if needed > limit:
        raise ConfigError(
            f"model={model.name} has {size.parameters:,} parameters: a training step needs at least {_shown(needed)} "
            f"of memory, and this machine gives {_shown(limit)}",
            f"choose a smaller model: lower {_size_keys(model)}" if _size_keys(model) else "choose a smaller model",
        )


def check_batch_memory(config: TrainConfig, dataset: FederatedDataset) -> None:
    """Refuses a batch size whose activations do not fit into the memory, if a client has enough examples for it.

    Raises:
        ConfigError: They do not fit.
    """
    size, limit = config.model.size(dataset.spec), memory_limit()
    if size is None or limit is None or not config.runtime.trains_here or config.distributor.trains_sub_models:
        return
    asked = config.dataset.batch_size
    if size.training_bytes(asked, _TRAINED_HERE) <= limit:
        return
    per_example = size.training_bytes(1, 0)
    fitting = max((limit - size.training_bytes(0, _TRAINED_HERE)) // per_example, 1)
    if len(dataset.smaller_than(fitting + 1)) < len(dataset.client_ids):
        needed = size.training_bytes(fitting + 1, _TRAINED_HERE)
        raise ConfigError(
            f"dataset.batch_size={asked}: a client's batch of {fitting + 1:,} or more examples needs at least "
            f"{_shown(needed)} of memory, and this machine gives {_shown(limit)}",
            f"set dataset.batch_size to at most {fitting}",
        )


def _size_keys(model: ModelConfig) -> str:
    from fedcli.ranges import ranges_of

    return " or ".join(f"model.{key}" for key in ranges_of(type(model)))


def _shown(size: float) -> str:
    units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.3g} {units[0]}"
