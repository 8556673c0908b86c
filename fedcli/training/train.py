"""`fedcli train`: the experiment, from its config to its record."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fedcli.config.checks import check_clients_per_round
from fedcli.config.schema import TrainConfig
from fedcli.datasets.base import FederatedDataset
from fedcli.errors import ConfigError, DivergedError, FedcliError, Interrupted, WorkerError
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import Row, read_metrics
from fedcli.runs.recorded import Journal
from fedcli.runs.result import summarise, write_result
from fedcli.runtime.round import ClientWork, Kept, RoundResult
from fedcli.runtime.tensorflow_settings import import_tensorflow
from fedcli.shell import shown_path
from fedcli.training.cohorts import Cohort, Spent
from fedcli.training.inputs import load_inputs
from fedcli.training.interrupts import StopRequest, stop_after_round
from fedcli.training.observer import Observer
from fedcli.training.privacy import Privacy
from fedcli.training.sampling import ExampleOrder, seed_words

if TYPE_CHECKING:
    from fedcli.pretrained import Pretrained
    from fedcli.training.recorder import Progress, Recorder
    from fedcli.training.setup import Experiment

_log = logging.getLogger(__name__)

#: So many of the clients that a message is about are named.
_NAMED = 5


def train(config: TrainConfig, run: RunDirectory, observer: Observer, journal: Journal) -> dict[str, Any]:
    """Trains a model and records the run, from its newest checkpoint if there is one.

    Args:
        config: What to do.
        run: Where to record it. The folder exists.
        observer: Watches.
        journal: Takes what happens to the run.

    Returns:
        What result.json says.

    Raises:
        FedcliError: Anything that ends the run before its last round; what it has done is recorded.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(stop_after_round(observer.stopping))
        runtime = stack.enter_context(config.runtime.start(run.run_log))
        observer.preparing("importing TensorFlow and loading data")
        load = stack.enter_context(_loading(config))
        import_tensorflow()
        from fedcli.training.setup import Experiment

        loaded = load()
        journal.refuse_other(loaded.inputs)
        observer.preparing("compiling the round")
        experiment = stack.enter_context(Experiment.build(config, loaded.dataset, runtime))
        resumed = experiment.restore(run)
        progress = experiment.initial_progress(loaded.pretrained) if resumed is None else resumed
        # A resumed run's record knows the first model as it was, whatever became of the run that made it.
        privacy = experiment.privacy(progress.state, journal.record.inputs or loaded.inputs)
        last = privacy.last_round(config.rounds)
        _refuse_fewer_rounds(config, progress.round)
        _refuse_less_epsilon(config, privacy, progress.round, last)
        participants = experiment.check_files(run, resumed)
        # Whatever refuses to go on with a run comes before this, so that the run's folder stays as it is.
        journal.begin(loaded.inputs, None if resumed is None else resumed.round)
        recorder = stack.enter_context(experiment.recording(run, resumed, participants))

        if resumed is None:
            row: Row = {
                "round": 0,
                **experiment.evaluate(progress.state),
                **privacy.row(0),
                **progress.spent_row(Spent(), simulated=config.sampling.is_simulated),
            }
            recorder.row(row)
            _show_sample(experiment, recorder, progress)
            recorder.checkpoint(progress)
            observer.started(0, last)
            observer.row(row)
        else:
            observer.started(progress.round, last)
        if privacy.reason is not None:
            _log.warning("no epsilon is stated: %s", privacy.reason)
        stack.enter_context(_privacy_recorded(privacy, config, journal, lambda: progress.round))

        for round in range(progress.round + 1, last + 1):
            _stop_if_asked(stop, progress.round, run, config.command)
            cohort = experiment.cohorts.cohort(round, progress.streams)
            started, losses = time.perf_counter(), experiment.runtime.losses
            try:
                result = _run_round(config, experiment, recorder, progress, cohort)
            except WorkerError as error:
                recorder.checkpoint(progress)
                raise _resumable(error, stop, progress.round, run, config.command) from error
            finally:
                journal.lost(experiment.runtime.losses - losses)
            seconds = time.perf_counter() - started
            cohort = cohort.without(result.left_out)
            measured = experiment.measured(result.metrics)
            spent = experiment.cohorts.spent(cohort, measured, progress.streams)
            progress = progress.after(result.state, spent, cohort.reported if experiment.compiled.kept else ())
            by_client = experiment.evaluate_clients(progress.state, round, last)
            row = {
                "round": round,
                **measured,
                **experiment.rates.row(round),
                **cohort.row(),
                **experiment.attackers_row(cohort),
                **privacy.row(round),
                **(experiment.evaluate(progress.state) if _is_evaluated(config, round, last) else {}),
                **(by_client.row() if by_client else {}),
                **progress.spent_row(spent, simulated=config.sampling.is_simulated),
                "seconds": seconds,
            }
            recorder.row(row, spent.participants)
            if by_client:
                recorder.clients(by_client)
            if _is_evaluated(config, round, last):
                _show_sample(experiment, recorder, progress)
            observer.row(row)
            _refuse_divergence(config, row, cohort, result.left_out)
            _tell_left_out(cohort, result.left_out)
            if round % config.checkpoint.every == 0 or round == last or stop:
                recorder.checkpoint(progress)

        experiment.save_model(run, progress.state)
        statement = privacy.statement(progress.round, config.rounds)
    summary = {
        **summarise(read_metrics(run.metrics_csv)),
        "clients_keep_state": config.distributor.clients_keep_state,
        **({} if statement is None else {"privacy": statement}),
    }
    write_result(run.result_json, summary)
    return summary


@dataclass(frozen=True)
class _Loaded:
    """What a run is made from.

    Attributes:
        dataset: The clients and their examples.
        inputs: Its fingerprints; see `fedcli.runs.inputs`.
        pretrained: The model that a fine-tuning begins with.
    """

    dataset: FederatedDataset
    inputs: dict[str, Any]
    pretrained: Pretrained | None


@contextmanager
def _loading(config: TrainConfig) -> Iterator[Callable[[], _Loaded]]:
    """Loads the data set and the pretrained model in another thread, while this one imports TensorFlow.

    Yields:
        A function that waits for them.
    """

    def load() -> _Loaded:
        dataset = config.load_dataset()
        try:
            return _Loaded(dataset, *load_inputs(config))
        except BaseException:
            dataset.close()
            raise

    with ThreadPoolExecutor(1, "fedcli-data") as pool:
        future = pool.submit(load)

        def loaded() -> _Loaded:
            result = future.result()
            check_clients_per_round(config, len(result.dataset.client_ids))
            return result

        try:
            yield loaded
        finally:
            if future.exception() is None:
                future.result().dataset.close()


@contextmanager
def _privacy_recorded(
    privacy: Privacy, config: TrainConfig, journal: Journal, done: Callable[[], int]
) -> Iterator[None]:
    """Has run.json say what is known of the privacy, and when the block ends, however it does, what epsilon came to.

    Until then it says no epsilon: of a run that is killed, that would be too small a one. metrics.csv has it.
    """
    statement = privacy.statement(done(), config.rounds)
    if statement is not None:
        journal.privacy({**statement, "epsilon": None, "ended": None})
    try:
        yield
    finally:
        if statement is not None:
            journal.privacy(privacy.statement(done(), config.rounds))


def _run_round(
    config: TrainConfig, experiment: Experiment, recorder: Recorder, progress: Progress, cohort: Cohort
) -> RoundResult:
    """Trains the clients that report.

    If none does, and no noise is to be added, the state stays, and only the server's message can be measured.
    """

    def run(clients: Sequence[str], *, discard: bool = False) -> RoundResult:
        return experiment.runtime.run_round(
            experiment.rates.put_into(progress.state, cohort.round),
            [
                _client_work(experiment, cohort.round, client, recorder.kept(progress, client, discard=discard))
                for client in clients
            ],
            seed_words(config.seed, "server", cohort.round),
        )

    if cohort.reported:
        result = run(cohort.reported)
        if len(result.left_out) < len(cohort.reported):
            return result
    elif config.aggregator.server_adds_noise:
        result = run(())
    elif experiment.measures_broadcast and cohort.asked:
        # Whom the message goes to does not change its length: any client will do. What it trains is thrown away.
        result = replace(run(cohort.asked[:1], discard=True), left_out=())
    else:
        return RoundResult(progress.state, {})
    if config.aggregator.server_adds_noise:
        # To go without the noise would tell that nobody took part. Training has measured nothing, and the clients' part
        # of the state stays: the mean of no gradients, for example, is not finite.
        known = {path: value for path, value in result.metrics.items() if not path.startswith("client_work/")}
        leaves = zip(experiment.compiled.state, progress.state, result.state, strict=True)
        state = [old if leaf.path.startswith("client_work/") else new for leaf, old, new in leaves]
        return RoundResult(state, known, result.left_out)
    measured = {path: value for path, value in result.metrics.items() if path.startswith("distributor/")}
    return RoundResult(progress.state, measured, result.left_out)


def _client_work(experiment: Experiment, round: int, client: str, kept: Kept | None) -> ClientWork:
    config = experiment.config
    return ClientWork(
        client=client,
        read=experiment.trained_on.client,
        order=ExampleOrder.of(config.dataset, seed_words(config.seed, "examples", round, client)),
        batch_size=config.dataset.batch_size,
        seed=seed_words(config.seed, "client", round, client),
        kept=kept,
        attacks=client in experiment.attackers,
        size=experiment.trained_on.size,
    )


def _is_evaluated(config: TrainConfig, round: int, last: int) -> bool:
    return round % config.eval.every == 0 or round == last


def _show_sample(experiment: Experiment, recorder: Recorder, progress: Progress) -> None:
    if text := experiment.sample(progress.state):
        recorder.text(progress.round, "sample", text)


def _stop_if_asked(stop: StopRequest, round: int, run: RunDirectory, command: str) -> None:
    if stop:
        raise Interrupted(
            f"stopped by {stop.signal_name} after round {round}; it is saved", _how_to_go_on(run, command)
        )


def _resumable(error: WorkerError, stop: StopRequest, round: int, run: RunDirectory, command: str) -> FedcliError:
    """Tells of lost workers that the run can go on. A scheduler that ends a job ends its workers too: no error then."""
    if stop:
        return Interrupted(
            f"stopped by {stop.signal_name} in round {round + 1}; the state after round {round} is saved",
            _how_to_go_on(run, command),
        )
    hint = f"{error.hint}; then {_how_to_go_on(run, command)}" if error.hint else _how_to_go_on(run, command)
    return WorkerError(f"{error.message}; the state after round {round} is saved", hint)


def _how_to_go_on(run: RunDirectory, command: str) -> str:
    return f"go on with: fedcli {command} --resume {shown_path(run.path)}"


def _refuse_fewer_rounds(config: TrainConfig, done: int) -> None:
    if done > config.rounds:
        raise ConfigError(
            f"rounds={config.rounds}: the run has done {done} rounds already", f"set rounds to at least {done}"
        )


def _refuse_less_epsilon(config: TrainConfig, privacy: Privacy, done: int, last: int) -> None:
    if done > last and config.privacy.max_epsilon is not None:
        raise ConfigError(
            f"privacy.max_epsilon={config.privacy.max_epsilon:g}: after {done} rounds the run has spent more already",
            f"set it to at least {privacy.row(done)['epsilon']:.6g}",
        )


def _tell_left_out(cohort: Cohort, not_finite: Sequence[str]) -> None:
    """Logs which clients of a round did not report though they were there."""
    idle = len(cohort.left_out) - len(not_finite)
    if idle:
        _log.info("round %d: %d of %d clients have no batch and do not report", cohort.round, idle, len(cohort.asked))
    if not_finite:
        _log.warning(
            "round %d: %d of %d clients do not report, since their updates hold numbers that are not finite: %s",
            *(cohort.round, len(not_finite), len(cohort.asked)),
            ", ".join(not_finite[:_NAMED]) + (", ..." if len(not_finite) > _NAMED else ""),
        )


def _refuse_divergence(config: TrainConfig, row: Mapping[str, Any], cohort: Cohort, not_finite: Sequence[str]) -> None:
    """Ends a run that has diverged.

    Args:
        config: The config.
        row: The round's metrics.
        cohort: The round's clients.
        not_finite: Those of them that trained and whose updates are not finite.

    Raises:
        DivergedError: A loss or the server's update is not finite, or the update of no client was.
    """
    if not_finite and not cohort.reported and not config.aggregator.server_adds_noise:
        raise DivergedError(
            f"no update of the {len(not_finite)} clients that trained in round {row['round']} is finite: "
            "training has diverged",
            f"lower client_optimizer.learning_rate (now {config.client_optimizer.learning_rate:g})",
        )
    for name in ("train/loss", "eval/loss"):
        value = row.get(name)
        if value is not None and not math.isfinite(value):
            raise DivergedError(
                f"{name} is {value} in round {row['round']}: training has diverged",
                f"lower client_optimizer.learning_rate (now {config.client_optimizer.learning_rate:g}) "
                f"or server_optimizer.learning_rate (now {config.server_optimizer.learning_rate:g})",
            )
    if row.get("finalizer/update_non_finite"):
        raise DivergedError(
            f"the update of round {row['round']} holds numbers that are not finite: training has diverged",
            f"lower client_optimizer.learning_rate (now {config.client_optimizer.learning_rate:g})",
        )
