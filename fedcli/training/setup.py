"""Builds what a run needs from its config: the compiled round, the evaluation and what connects them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.algorithms.base import Parts
from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import DataSpec, FederatedDataset
from fedcli.errors import Interrupted
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import Row
from fedcli.runtime.base import Runtime, State
from fedcli.runtime.engine.communication import Communication
from fedcli.runtime.engine.compiled import CompiledRound, compile_round
from fedcli.runtime.local import available_cores
from fedcli.training.evaluation import Evaluator
from fedcli.training.learning_model import model_fn
from fedcli.training.recorder import Progress, Recorder, load_progress
from fedcli.training.sampling import seed_words
from fedcli.training.weights import initial_weights, save_keras, weights_of, with_weights

#: TFF's names of the training metrics, and the columns they go to. Every other metric keeps its name.
_TRAIN_COLUMNS = {
    "client_work/train/loss": "train/loss",
    "client_work/train/accuracy": "train/accuracy",
    "client_work/train/num_examples": "train/examples",
}
_LEFT_OUT = {"client_work/train/num_batches"}


@dataclass(frozen=True)
class Experiment:
    """A run's parts, ready to train.

    Attributes:
        config: What to do.
        dataset: The clients.
        compiled: The round.
        runtime: Executes the round.
        evaluator: Evaluates the model.
    """

    config: TrainConfig
    dataset: FederatedDataset
    compiled: CompiledRound
    runtime: Runtime
    evaluator: Evaluator

    @classmethod
    @contextmanager
    def build(cls, config: TrainConfig, dataset: FederatedDataset, runtime: Runtime) -> Iterator[Experiment]:
        """Compiles the round and loads it into the runtime."""
        compiled = _compiled(config, dataset.spec)
        runtime.load(compiled)
        evaluator = Evaluator(
            config.model,
            dataset.spec,
            dataset.test(config.eval.max_examples),
            config.eval.batch_size,
            getattr(config.runtime, "threads", None) or available_cores(),
        )
        try:
            yield cls(config, dataset, compiled, runtime, evaluator)
        finally:
            evaluator.close()

    def initial_progress(self) -> Progress:
        """Makes the state before the first round, with the model initialised from the run's seed."""
        state = self.runtime.initial_state(seed_words(self.config.seed, "server", 0))
        weights = initial_weights(self.config.model, self.dataset.spec, self.config.seed)
        return Progress(0, with_weights(state, self.compiled, weights))

    def restore(self, run: RunDirectory) -> Progress | None:
        """Reads the run's newest checkpoint."""
        return load_progress(run, self.config.checkpoint.keep, self.compiled)

    @contextmanager
    def recording(self, run: RunDirectory, progress: Progress | None) -> Iterator[Recorder]:
        """Opens the run's files, and closes them with the status that the run ends with."""
        measured = [name for leaf in self.compiled.metrics if (name := _measurement(leaf.path))]
        recorder = Recorder(run, self.config, self.compiled, measured, None if progress is None else progress.round)
        with ExitStack() as stack:
            status = "failed"
            stack.callback(lambda: recorder.close(status))
            try:
                yield recorder
                status = "completed"
            except (Interrupted, KeyboardInterrupt):
                status = "interrupted"
                raise

    def evaluate(self, state: State) -> Row:
        """Evaluates the model in a server's state on the test split."""
        evaluation = self.evaluator(weights_of(state, self.compiled))
        return {"eval/loss": evaluation.loss, "eval/accuracy": evaluation.accuracy}

    def train_metrics(self, metrics: Mapping[str, NDArray[np.generic]]) -> Row:
        """Names a round's metrics as metrics.csv does."""
        row: dict[str, Any] = {}
        for path, value in metrics.items():
            name = _TRAIN_COLUMNS.get(path) or _measurement(path)
            if name:
                row[name] = np.asarray(value).item()
        return row

    def bits(self, num_clients: int) -> Communication:
        """Returns the bits of one round with so many clients."""
        per_client = self.compiled.communication
        return Communication(per_client.broadcasted_bits * num_clients, per_client.aggregated_bits * num_clients)

    def save_model(self, run: RunDirectory, state: State) -> None:
        """Writes the model as a Keras file."""
        weights = weights_of(state, self.compiled)
        save_keras(run.model_keras, self.config.model, self.dataset.spec, weights)


def _compiled(config: TrainConfig, spec: DataSpec) -> CompiledRound:
    """Compiles the config's round, or returns what an earlier job of this process compiled from the same parts."""
    chosen = (config.client_optimizer, config.server_optimizer, config.aggregator, config.distributor)
    key = repr((config.algorithm, config.model, spec, chosen))
    if key not in _COMPILED:
        # One is enough for a sweep over seeds or data; more would hold their graphs for the process's life.
        _COMPILED.clear()
        _COMPILED[key] = compile_round(config.algorithm.build(Parts(model_fn(config.model, spec), *chosen)))
    return _COMPILED[key]


_COMPILED: dict[str, CompiledRound] = {}


def _measurement(path: str) -> str | None:
    """Returns the column of a metric that is not a common one."""
    return None if path in _TRAIN_COLUMNS or path in _LEFT_OUT else path
