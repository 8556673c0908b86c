"""Builds what a run needs from its config: the compiled round, the evaluation and what connects them."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.aggregators.mean import Mean
from fedcli.algorithms.base import AlgorithmConfig
from fedcli.algorithms.fed_avg import FedAvg
from fedcli.attacks.none import NoAttack
from fedcli.columns import ATTACK, TEXT
from fedcli.config.memory import check_batch_memory
from fedcli.config.objective import check_objective
from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import PADDING, DataSpec, Examples, FederatedDataset
from fedcli.datasets.origin import resolve_cache_dir
from fedcli.distributors.broadcast import Broadcast
from fedcli.errors import ConfigError, RunDirectoryError
from fedcli.optimizers.sgd import SGD
from fedcli.pretrained import Pretrained
from fedcli.runs.atomic import write_json
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import Row, read_metrics
from fedcli.runs.participants import Participant, lacks_participants
from fedcli.runtime.base import Runtime
from fedcli.runtime.engine.communication import CODING, REPORTS
from fedcli.runtime.engine.compiled import CompiledRound
from fedcli.runtime.engine.round_cache import RoundCache, round_key
from fedcli.runtime.garbage import garbage_later
from fedcli.runtime.local import available_cores
from fedcli.runtime.round import State
from fedcli.schedules.constant import Constant
from fedcli.training.attacked import AttackedDataset, attackers
from fedcli.training.changes import ChangeAccount
from fedcli.training.client_evaluation import ClientEvaluator, ClientResults
from fedcli.training.cohorts import LEFT_OUT_COLUMN, SIMULATED_COLUMNS, Cohort, Cohorts, Spent
from fedcli.training.evaluation import Evaluator
from fedcli.training.learning_rates import LearningRates, without_rates
from fedcli.training.personalization import Personalizer
from fedcli.training.privacy import Privacy, privacy_columns
from fedcli.training.reconstruction import ReconstructedEvaluator, clients_to_reconstruct_for
from fedcli.training.recorder import Progress, Recorder, check_recording, load_progress
from fedcli.training.sampling import seed_words
from fedcli.training.text_probes import random_characters, sample_text
from fedcli.training.weights import (
    Weights,
    initial_weights,
    save_keras,
    weights_of,
    with_num_clients,
    with_seed,
    with_weights,
)

_log = logging.getLogger(__name__)

_EXAMPLES = "client_work/train/num_examples"
#: TFF's names of the training metrics, and the columns they go to. Every other metric keeps its name.
_TRAIN_COLUMNS = {
    "client_work/train/loss": "train/loss",
    "client_work/train/accuracy": "train/accuracy",
    _EXAMPLES: "train/examples",
}
_LEFT_OUT = {"client_work/train/num_batches"}
#: What evaluations of text add: the accuracy of guessing, and the model's on random characters.
_TEXT_COLUMNS = list(TEXT)


@dataclass(frozen=True)
class Experiment:
    """A run's parts, ready to train.

    Attributes:
        config: What to do.
        dataset: The clients.
        attackers: Those of them that attack.
        trained_on: The clients' examples as the run trains on them: attackers may have changed theirs.
        compiled: The round.
        runtime: Executes the round.
        evaluator: Evaluates the model.
        test: What it is evaluated on, unless clients reconstruct a part of it.
        reconstructed_evaluator: Evaluates what clients make of the model; None where they do not reconstruct any part.
        cohorts: Chooses each round's clients and counts what they cost.
        client_evaluator: Evaluates it for each client by itself; None for never.
        rates: The learning rates that follow a schedule.
    """

    config: TrainConfig
    dataset: FederatedDataset
    attackers: frozenset[str]
    trained_on: FederatedDataset
    compiled: CompiledRound
    runtime: Runtime
    evaluator: Evaluator
    test: Examples
    reconstructed_evaluator: ReconstructedEvaluator | None
    cohorts: Cohorts
    client_evaluator: ClientEvaluator | None
    rates: LearningRates

    @classmethod
    @contextmanager
    def build(cls, config: TrainConfig, dataset: FederatedDataset, runtime: Runtime) -> Iterator[Experiment]:
        """Compiles the round and loads it into the runtime."""
        if config.algorithm.reconstruction is not None:
            clients_to_reconstruct_for(dataset)
        idle = _idle_clients(config, dataset)
        source = _test_source(config, dataset)
        test = _test_examples(config, source)
        attacking = attackers(dataset.client_ids, config.attack.share, config.seed)
        changed = AttackedDataset(dataset, config.attack, attacking) if config.attack.changes_examples else dataset
        check_batch_memory(config, dataset)
        compiled = _compiled(config, dataset.spec)
        runtime.load(compiled, changed)
        threads = getattr(config.runtime, "threads", None) or available_cores()
        with ExitStack() as stack:
            evaluator = Evaluator(config.model, dataset.spec, config.eval.batch_size, threads)
            stack.callback(evaluator.close)
            reconstructed_evaluator = stack.enter_context(_reconstructed_evaluator(config, source, evaluator))
            own_model = None if reconstructed_evaluator is None else reconstructed_evaluator.own_model
            client_evaluator = stack.enter_context(_client_evaluator(config, dataset, evaluator, own_model))
            changes = ChangeAccount(_model_bits(compiled)) if config.distributor.clients_keep_state else None
            cohorts = Cohorts(config, dataset, compiled.communication, changes, idle)
            rates = LearningRates(config, compiled)
            yield cls(
                config,
                dataset,
                attacking,
                changed,
                compiled,
                runtime,
                evaluator,
                test,
                reconstructed_evaluator,
                cohorts,
                client_evaluator,
                rates,
            )

    def initial_progress(self, pretrained: Pretrained | None = None) -> Progress:
        """Makes the state before the first round: the model is pretrained, or initialised from the run's seed."""
        config = self.config
        state = self.runtime.initial_state(seed_words(config.seed, "server", 0))
        if pretrained is not None:
            if pretrained.left_out:
                settings = ", ".join(pretrained.left_out)
                _log.warning("%s: fine-tuning goes without the file's %s", pretrained.source, settings)
            weights: Weights = list(pretrained.weights)
        else:
            weights = initial_weights(config.model, self.dataset.spec, config.seed)
        state = with_seed(state, self.compiled, config.seed)
        state = with_num_clients(state, self.compiled, len(self.dataset.client_ids))
        return Progress(0, with_weights(state, self.compiled, weights))

    def restore(self, run: RunDirectory) -> Progress | None:
        """Reads the run's newest checkpoint.

        Raises:
            RunDirectoryError: All checkpoints are damaged, or metrics.csv does not belong to the newest one.
        """
        progress = load_progress(run, self.config.checkpoint.keep, self.compiled)
        if progress is not None and self.config.distributor.clients_keep_state:
            self._recount(run, progress)
        return progress

    def check_files(self, run: RunDirectory, progress: Progress | None) -> list[Participant] | None:
        """Refuses a run whose files do not go with what it is going to write. Changes none of them.

        Args:
            run: The run.
            progress: Where it goes on; None if it begins at the first round.

        Returns:
            Who took part in the rounds done, where participants.csv lacks some of them; else None.

        Raises:
            ConfigError: The objective is not measured.
            RunDirectoryError: A file is missing, damaged, or that of another config.
        """
        columns = self._measured_columns()
        check_objective(self.config.objective, columns)
        check_recording(run, self.compiled, columns, progress)
        if progress is None or not self.config.sampling.is_simulated:
            return None
        if not lacks_participants(run.participants_csv, _rows_done(run, progress)):
            return None
        # Who takes part is simulated from the seed and what the rounds measured, so the list can be made again.
        if not self._can_recount_participants(run, progress):
            raise RunDirectoryError(
                f"{run.participants_csv} lacks clients of rounds that the run has done",
                "restore it from a copy, or start a new run",
            )
        return self._recount(run, progress)

    def recording(
        self, run: RunDirectory, progress: Progress | None, participants: list[Participant] | None
    ) -> Recorder:
        """Opens the run's files, as `check_files` has found them; a context manager, which closes them."""
        if self.is_attacked:
            write_json(run.attackers_json, {"attack": self.config.attack.name, "clients": sorted(self.attackers)})
        return Recorder(run, self.config, self.compiled, self._measured_columns(), progress, participants)

    def _can_recount_participants(self, run: RunDirectory, progress: Progress) -> bool:
        """Tells whether the participants of the rounds done follow from the seed and metrics.csv."""
        if self.config.distributor.clients_keep_state:
            return False
        # metrics.csv counts the updates that were not finite, and does not tell whose they were.
        return all(
            int(row.get(LEFT_OUT_COLUMN) or 0) == len(self.cohorts.cohort(round, progress.streams).left_out)
            for round, row in enumerate(_rows_done(run, progress), 1)
        )

    def _measured_columns(self) -> list[str]:
        """Lists the columns of metrics.csv after the common ones."""
        measured = [name for leaf in self.compiled.metrics if (name := _measurement(leaf.path))]
        measured.append(LEFT_OUT_COLUMN)
        if self._is_text:
            measured += _TEXT_COLUMNS
        if self.config.sampling.is_simulated:
            measured += SIMULATED_COLUMNS
        if self.is_attacked:
            measured += ATTACK
        measured += self.rates.columns
        measured += privacy_columns(self.config)
        if self.client_evaluator is not None:
            measured += self.client_evaluator.columns
        return measured

    def evaluate(self, state: State) -> Row:
        """Evaluates the model in a server's state, or what clients reconstruct of it, on the test split."""
        weights = weights_of(state, self.compiled)
        if self.reconstructed_evaluator is not None:
            evaluation = self.reconstructed_evaluator(weights)
        else:
            evaluation = self.evaluator(weights, self.test)
        row: Row = {"eval/loss": evaluation.loss, "eval/accuracy": evaluation.accuracy}
        if self._is_text:
            chance = self.evaluator(weights, random_characters(self.dataset.spec))
            row |= zip(_TEXT_COLUMNS, (1 / self.dataset.spec.num_classes, chance.accuracy), strict=True)
        return row

    def privacy(self, state: State, inputs: Mapping[str, Any] | None) -> Privacy:
        """Makes what accounts for the run's privacy, from a server's state and the run's inputs; see `Privacy.of`."""
        scalars = {
            leaf.path: float(value.item())
            for leaf, value in zip(self.compiled.state, state, strict=True)
            if leaf.path.startswith("aggregator/") and leaf.shape == () and np.isreal(value)
        }
        return Privacy.of(self.config, len(self.dataset.client_ids), scalars, inputs)

    def evaluate_clients(self, state: State, round: int, last: int) -> ClientResults | None:
        """Evaluates the model of a round for each client by itself, where it is this round's turn, or the last one."""
        every = self.config.client_eval.every
        if self.client_evaluator is None or every is None or (round % every and round != last):
            return None
        return self.client_evaluator(weights_of(state, self.compiled), round)

    def sample(self, state: State) -> str | None:
        """Lets a text model write something; None for others."""
        return sample_text(self.config.model, weights_of(state, self.compiled)) if self._is_text else None

    def attackers_row(self, cohort: Cohort) -> Row:
        """Counts the attackers among the clients that report in a round; an empty row where there is no attack."""
        return {"attackers": sum(client in self.attackers for client in cohort.reported)} if self.is_attacked else {}

    @property
    def is_attacked(self) -> bool:
        """Whether attacks are simulated."""
        return self.config.attack != NoAttack()

    @property
    def _is_text(self) -> bool:
        """Whether the server's model writes text: one of which clients have to reconstruct a part does not."""
        return self.dataset.spec.kind == "text" and self.reconstructed_evaluator is None

    def measured(self, metrics: Mapping[str, NDArray[np.generic]]) -> Row:
        """Names a round's metrics as metrics.csv does. Without an example, training has measured nothing."""
        row: dict[str, Any] = {}
        if not metrics.get(_EXAMPLES, 1):
            metrics = {path: value for path, value in metrics.items() if not path.startswith("client_work/")}
        for path, value in metrics.items():
            name = _TRAIN_COLUMNS.get(path) or _measurement(path)
            if name:
                row[name] = np.asarray(value).item()
        return row

    @property
    def measures_broadcast(self) -> bool:
        """Whether a round has to run to tell how long the server's message was."""
        return any(_measurement(leaf.path) == "distributor/stream_bits" for leaf in self.compiled.metrics)

    def _recount(self, run: RunDirectory, progress: Progress) -> list[Participant]:
        """Takes into account the rounds that the run has done; returns who took part in them."""
        rows = _rows_done(run, progress)
        spent, sent_down, participants = Spent(), 0, list[Participant]()
        for round, row in enumerate(rows, 1):
            cohort = self.cohorts.cohort(round, spent.streams)
            # How many updates were not finite is known, not whose; only their number matters here.
            late = int(row.get(LEFT_OUT_COLUMN) or 0) - len(cohort.left_out)
            spent = self.cohorts.spent(cohort.without(cohort.reported[:late]), row, spent.streams)
            sent_down += spent.bits.broadcasted_bits
            participants += spent.participants
        if len(rows) != progress.round or sent_down != progress.broadcasted_bits:
            raise RunDirectoryError(
                f"{run.metrics_csv} is not that of the checkpoint of round {progress.round}",
                "start a new run: what clients have cannot be told without it",
            )
        return participants

    def save_model(self, run: RunDirectory, state: State) -> None:
        """Writes the model as a Keras file."""
        weights = weights_of(state, self.compiled)
        save_keras(run.model_keras, self.config.model, self.dataset.spec, weights)


def _rows_done(run: RunDirectory, progress: Progress) -> list[Row]:
    """Reads the rows of the rounds of training that a run has done."""
    return [row for row in read_metrics(run.metrics_csv) if 1 <= int(row["round"] or 0) <= progress.round]


def _idle_clients(config: TrainConfig, dataset: FederatedDataset) -> list[str]:
    """Returns the clients that have no batch, or too few to train, and so do not report.

    Where clients add the noise that makes the model private, all of them report: an idle one sends zero and its noise.

    Raises:
        ConfigError: All clients are so.
    """
    needed = config.algorithm.batches_needed
    idle = config.dataset.clients_without_batches(dataset, needed)
    few = "no batch" if needed == 1 else f"fewer than {needed} batches"
    if len(idle) == len(dataset.client_ids):
        lower = "set dataset.drop_remainder=false, or lower dataset.batch_size" if config.dataset.drop_remainder else ""
        raise ConfigError(
            f"nothing can be trained: all {len(idle)} clients have {few}",
            lower or ("lower dataset.batch_size" if needed > 1 else "choose clients that have training examples"),
        )
    if idle:
        _log.warning("%d of %d clients have %s and train on nothing", len(idle), len(dataset.client_ids), few)
    return [] if config.aggregator.clients_add_noise else idle


def _test_examples(config: TrainConfig, source: FederatedDataset) -> Examples:
    """Reads what the model is evaluated on.

    Raises:
        ConfigError: There is nothing, though the model would be evaluated on it.
    """
    test = source.test(config.eval.max_examples)
    if config.algorithm.reconstruction is None and not np.any(test.y != PADDING):
        chosen = config.dataset.clients is not None and not config.eval.all_clients
        raise ConfigError(
            "there is nothing to evaluate the model on: "
            + ("dataset.clients have no test examples" if chosen else "the data set has no test examples"),
            "set eval.all_clients=true, or choose other clients" if chosen else "choose a data set with a test split",
        )
    return test


def _test_source(config: TrainConfig, dataset: FederatedDataset) -> FederatedDataset:
    if config.dataset.clients is None or not config.eval.all_clients:
        return dataset
    return config.dataset.replace(clients=None).load()


@contextmanager
def _reconstructed_evaluator(
    config: TrainConfig, source: FederatedDataset, evaluator: Evaluator
) -> Iterator[ReconstructedEvaluator | None]:
    algorithm = config.algorithm.reconstruction
    if algorithm is None:
        yield None
        return
    # The algorithm itself repeats the batches.
    reconstruct = _personalizer(config, algorithm, source, "reconstruction", epochs=1)
    result = ReconstructedEvaluator(source, evaluator, reconstruct, config.eval.max_examples)
    try:
        yield result
    finally:
        result.close()


@contextmanager
def _client_evaluator(
    config: TrainConfig,
    dataset: FederatedDataset,
    evaluator: Evaluator,
    own_model: Callable[[Weights, str], Weights] | None,
) -> Iterator[ClientEvaluator | None]:
    if config.client_eval.every is None:
        yield None
        return
    personalizer = None
    if config.client_eval.personalize_epochs:
        epochs = config.client_eval.personalize_epochs
        personalizer = _personalizer(config, FedAvg(weighted=False), dataset, "personalization", epochs)
    result = ClientEvaluator(config, dataset, evaluator, personalizer, own_model)
    try:
        yield result
    finally:
        result.close()


def _personalizer(
    config: TrainConfig, algorithm: AlgorithmConfig, dataset: FederatedDataset, purpose: str, epochs: int
) -> Personalizer:
    """Makes what trains models of single clients by an algorithm."""
    # With one client, its mean is that client's model.
    alone = dataclasses.replace(
        config,
        algorithm=algorithm,
        # One that is not used is to be no part of the compiled round, which is the same for a sweep over its keys.
        client_optimizer=config.client_optimizer if algorithm.uses_client_optimizer else SGD(),
        server_optimizer=SGD(learning_rate=1.0),
        aggregator=Mean(),
        distributor=Broadcast(),
        attack=NoAttack(),
        client_schedule=config.client_schedule if algorithm.uses_client_optimizer else Constant(),
        server_schedule=Constant(),
    )
    return Personalizer(alone, dataset, _compiled(alone, dataset.spec), purpose, epochs)


def _compiled(config: TrainConfig, spec: DataSpec) -> CompiledRound:
    """Compiles the config's round, or takes it from an earlier job of this process or from the cache on disk.

    Its learning rates are to be put into the state by `LearningRates`.
    """
    config = without_rates(config)
    key = round_key([config.algorithm, config.model, spec, *_parts(config)])
    compiled = _COMPILED.get(key)
    if compiled is not None and (compiled.source is not None or not config.runtime.needs_process):
        return compiled
    cache = RoundCache(resolve_cache_dir(config.dataset.cache_dir) / "compiled")
    compiled = cache.load(key) if config.runtime.caches_rounds else None
    if compiled is None:
        compiled = _compile(config, spec)
        if config.runtime.caches_rounds:
            cache.store(key, compiled)
    # A run's own and those of its evaluations are enough for a sweep over seeds or data; more would hold their graphs
    # for the process's life.
    for old in list(_COMPILED)[:-2]:
        del _COMPILED[old]
    _COMPILED[key] = compiled
    return compiled


def _compile(config: TrainConfig, spec: DataSpec) -> CompiledRound:
    with garbage_later():
        # These import TFF, which a cached round does without.
        from fedcli.algorithms.base import Parts
        from fedcli.runtime.engine.compile import compile_round
        from fedcli.training.learning_model import model_fn

        return compile_round(config.algorithm.build(Parts(model_fn(config.model, spec), *_parts(config))))


def _parts(config: TrainConfig) -> tuple[Any, ...]:
    parts = (config.client_optimizer, config.server_optimizer, config.aggregator, config.distributor)
    return *parts, config.attack.compiled


_COMPILED: dict[str, CompiledRound] = {}


def _model_bits(compiled: CompiledRound) -> int:
    """Counts the bits of what the server's model has for clients."""
    trainable, other = compiled.model_weights()
    leaves = [compiled.state[index] for index in [*trainable, *other]]
    whole = sum(8 * leaf.dtype.itemsize * math.prod(size or 0 for size in leaf.shape) for leaf in leaves)
    return whole - compiled.communication.known_bits


def _measurement(path: str) -> str | None:
    """Returns the column of a metric that is not a common one."""
    if path in _TRAIN_COLUMNS or path in _LEFT_OUT or path.endswith(f"/{REPORTS}"):
        return None
    # What a codec measures has the same name whatever it is wrapped in: a mean, clipping, zeroing.
    part, within, name = path.partition(f"/{CODING}/")
    return f"{part.split('/')[0]}/{name}" if within else path
