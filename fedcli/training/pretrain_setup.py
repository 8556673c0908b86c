"""The parts of `pretrain` that import TensorFlow: the model, its steps, its evaluation and its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import tensorflow as tf

from fedcli.config.pretrain import PretrainConfig
from fedcli.datasets.base import Examples
from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import Row
from fedcli.runs.taken_up import checkpoint_to_resume
from fedcli.training.measurements import Measurements
from fedcli.training.network import Network
from fedcli.training.sampling import generator
from fedcli.training.text_file import TrainingText
from fedcli.training.weights import Weights, initial_weights, save_keras

if TYPE_CHECKING:
    from fedcli.training.observer import EpochObserver


@dataclass(frozen=True)
class Best:
    """The model with the lowest held-out loss so far.

    Attributes:
        epoch: The epoch after which it was.
        loss: Its held-out loss, in nats a character.
        accuracy: Its held-out accuracy.
        weights: Its weights.
    """

    epoch: int
    loss: float
    accuracy: float
    weights: Weights


@dataclass(frozen=True)
class EpochProgress:
    """Where a run is.

    Attributes:
        epoch: Epochs done.
        state: The model's weights and the optimizer's variables.
        best: The best model so far, the initial one included.
    """

    epoch: int
    state: Weights
    best: Best

    @property
    def epochs_without_gain(self) -> int:
        """Epochs since the best."""
        return self.epoch - self.best.epoch

    def after(self, epoch: int, state: Weights, weights: Weights, evaluated: Row) -> EpochProgress:
        """Returns where the run is after another epoch."""
        best = self.best
        if _value(evaluated, "eval/loss") < best.loss:
            best = _best(epoch, weights, evaluated)
        return EpochProgress(epoch, state, best)


@dataclass(frozen=True)
class Pretraining:
    """A run's parts, ready to train.

    Attributes:
        config: What to do.
        text: What to train and validate on.
        network: The model, as it is trained and evaluated.
    """

    config: PretrainConfig
    text: TrainingText
    network: Network

    @classmethod
    @contextmanager
    def build(cls, config: PretrainConfig, text: TrainingText) -> Iterator[Pretraining]:
        """Initialises the model from the run's seed."""
        weights = initial_weights(config.model, config.spec, config.seed)
        with tf.Graph().as_default():
            num_trainable = len(config.model.build(config.spec).trainable_weights)
        network = Network(config, weights, num_trainable)
        try:
            yield cls(config, text, network)
        finally:
            network.close()

    def begin(self) -> tuple[EpochProgress, Row]:
        """Evaluates the initial model."""
        state = self.network.state
        evaluated = self.evaluate(state)
        return EpochProgress(0, state, _best(0, self.weights(state), evaluated)), {"round": 0, **evaluated}

    def train_epoch(self, state: Weights, epoch: int, observer: EpochObserver) -> tuple[Weights, Row]:
        """Trains once on each sequence, in an order that the seed and the epoch decide.

        Returns:
            The next state, and the loss and accuracy while training went on.
        """
        self.network.state = state
        examples, size = self.text.train, self.config.batch_size
        order = generator(self.config.seed, "pretrain", epoch).permutation(len(examples))
        batches = np.split(order, range(size, len(order), size))
        sums = np.zeros(3)
        for done, chosen in enumerate(batches, 1):
            sums += self.network.train(Examples(examples.x[chosen], examples.y[chosen]))
            observer.batch(epoch, done, len(batches), sums[0] / sums[2])
        loss, hits, targets = sums.tolist()
        row: Row = {"train/loss": loss / targets, "train/accuracy": hits / targets, "train/examples": len(examples)}
        return self.network.state, row

    def evaluate(self, state: Weights) -> Row:
        """Evaluates the model on the held-out text."""
        self.network.state = state
        examples, size = self.text.validation, self.config.batch_size
        sums = np.zeros(3)
        for start in range(0, len(examples), size):
            batch = slice(start, start + size)
            sums += self.network.evaluate(Examples(examples.x[batch], examples.y[batch]))
        loss, hits, targets = sums.tolist()
        return {"eval/loss": loss / targets, "eval/accuracy": hits / targets}

    def weights(self, state: Weights) -> Weights:
        """Returns the model's weights in a state."""
        return state[: self.network.num_weights]

    def save_model(self, run: RunDirectory, weights: Weights) -> None:
        """Writes the model as a Keras file."""
        save_keras(run.model_keras, self.config.model, self.config.spec, weights)

    def restore(self, run: RunDirectory) -> EpochProgress | None:
        """Reads the run's newest checkpoint; None if it saved none yet.

        Raises:
            ConfigError: The text is not what it was.
            RunDirectoryError: All checkpoints are damaged, or they belong to another model.
        """
        checkpoint = checkpoint_to_resume(run, self.config.checkpoint.keep)
        if checkpoint is None:
            return None
        if checkpoint.meta["text_sha256"] != self.text.digest:
            raise ConfigError(f"{self.config.text} has changed since {run} began", "restore it, or start a new run")
        names = self.network.names
        if [name for name, _ in checkpoint.tensors] != _saved_names(names, self.network.num_weights):
            raise RunDirectoryError(
                f"{run.checkpoints}: the checkpoint of epoch {checkpoint.round} is of another model",
                "resume with the versions in run.json, or start a new run",
            )
        tensors = [tensor for _, tensor in checkpoint.tensors]
        meta = checkpoint.meta
        best = Best(meta["best_epoch"], meta["best_loss"], meta["best_accuracy"], tensors[len(names) :])
        return EpochProgress(checkpoint.round, tensors[: len(names)], best)

    def recording(self, run: RunDirectory, progress: EpochProgress | None) -> EpochRecorder:
        """Opens the run's files; a context manager, which closes them."""
        return EpochRecorder(run, self, None if progress is None else progress.epoch)


class EpochRecorder:
    """Writes the files of one run that grow with it; the epoch is what the files call the round.

    Args:
        run: The run directory.
        experiment: The run's parts.
        resumed_after: The epoch after which the run goes on; None for a new run.
    """

    def __init__(self, run: RunDirectory, experiment: Pretraining, resumed_after: int | None) -> None:
        network = experiment.network
        self._names = _saved_names(network.names, network.num_weights)
        self._digest = experiment.text.digest
        self._saved = resumed_after
        self._checkpoints = CheckpointStore(run.checkpoints, experiment.config.checkpoint.keep)
        if resumed_after is not None:
            self._checkpoints.clean(resumed_after)
        self._measurements = Measurements(run, experiment.config, (), resumed_after)

    def row(self, row: Row) -> None:
        """Writes the metrics of an epoch."""
        self._measurements.row(row)

    def checkpoint(self, progress: EpochProgress) -> None:
        """Saves the state and the best model, unless this epoch's are saved."""
        if progress.epoch == self._saved:
            return
        tensors = [*progress.state, *progress.best.weights]
        self._checkpoints.save(
            progress.epoch,
            list(zip(self._names, (np.asarray(tensor) for tensor in tensors), strict=True)),
            {
                "best_epoch": progress.best.epoch,
                "best_loss": progress.best.loss,
                "best_accuracy": progress.best.accuracy,
                "text_sha256": self._digest,
            },
        )
        self._saved = progress.epoch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        """Closes the files, with the status that the run ends with."""
        self._measurements.close(kind)


def _saved_names(names: Sequence[str], num_weights: int) -> list[str]:
    """Names what a checkpoint holds: the state, then the best model's weights."""
    return [*names, *(f"best_{name}" for name in names[:num_weights])]


def _best(epoch: int, weights: Weights, evaluated: Row) -> Best:
    return Best(epoch, _value(evaluated, "eval/loss"), _value(evaluated, "eval/accuracy"), weights)


def _value(row: Row, name: str) -> float:
    value = row[name]
    assert value is not None
    return float(value)
