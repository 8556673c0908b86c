"""The typed form of `fedcli pretrain`'s config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fedcli.config.schema import CheckpointConfig
from fedcli.datasets.base import DataSpec
from fedcli.loggers.base import LoggerConfig
from fedcli.loggers.tensorboard import TensorBoard
from fedcli.models.base import ModelConfig
from fedcli.ranges import Count, CountOrZero, LearningRate, Range, Seed
from fedcli.text.vocabulary import VOCABULARY


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides a centralized training on a text.

    Attributes:
        model: The Keras model, one for text.
        text: Path of the text, a UTF-8 file.
        name: Name that the model gets for `--pretrained`.
        overwrite: Whether a model that has the name already is replaced.
        epochs: Passes over the text, at most.
        batch_size: Sequences a batch.
        shards: Parts that a batch is cut into, each computed by one thread. It is not the number of threads, and
            not read from the machine: the gradient is summed shard by shard, so its last bits depend on it.
        sequence_length: Characters of an input.
        learning_rate: Adam's.
        validation_share: Share of the text that is held out.
        patience: Epochs without a lower held-out loss after which training stops; None for never.
        seed: Where the initial model and the order of the sequences come from.
        objective: Metric that a search optimizes.
        output_dir: Folder that run directories are made in.
        cache_dir: Root of the cache, which keeps the named model; None for $FEDCLI_CACHE or ~/.cache/fedcli.
        checkpoint: How the state is saved, in epochs.
        logger: Where measurements go beside the run's own files.
    """

    model: ModelConfig
    text: str | None = None
    name: str | None = None
    overwrite: bool = False
    epochs: CountOrZero = 12
    batch_size: Count = 64
    shards: Annotated[int, Range(1, 1024)] = 2
    sequence_length: Annotated[int, Range(1, 10**6)] = 100
    learning_rate: LearningRate = 0.001
    validation_share: Annotated[float, Range(1e-6, 0.999999)] = 0.1
    patience: Count | None = 3
    seed: Seed = 0
    objective: str = "eval/accuracy"
    output_dir: str = "outputs"
    cache_dir: str | None = None
    checkpoint: CheckpointConfig = field(default_factory=lambda: CheckpointConfig(every=1))
    logger: LoggerConfig = field(default_factory=TensorBoard)

    @property
    def spec(self) -> DataSpec:
        """Sequences of character ids, with a target at every position."""
        shape = (self.sequence_length,)
        return DataSpec("text", shape, "int32", shape, len(VOCABULARY), 1)
