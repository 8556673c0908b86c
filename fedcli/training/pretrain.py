"""`fedcli pretrain`: centralized training on one text, from its config to its record."""

from __future__ import annotations

import logging
import math
import time
from contextlib import ExitStack
from typing import Any

from fedcli.config.pretrain import PretrainConfig
from fedcli.errors import ConfigError, DivergedError, Interrupted
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import Row, read_metrics
from fedcli.runs.recorded import Journal
from fedcli.runs.result import summarise, write_result
from fedcli.runtime.tensorflow_settings import import_tensorflow
from fedcli.shell import shown_path
from fedcli.text.vocabulary import unknown_note
from fedcli.training.inputs import sources_of
from fedcli.training.interrupts import StopRequest, stop_after_round
from fedcli.training.named_model import publish, refuse_taken
from fedcli.training.observer import EpochObserver
from fedcli.training.text_file import TrainingText, load_text

_log = logging.getLogger(__name__)


def pretrain(config: PretrainConfig, run: RunDirectory, observer: EpochObserver, journal: Journal) -> dict[str, Any]:
    """Trains a model on a text, gives it its name and records the run, from its newest checkpoint if there is one.

    The weights that are kept are those of the epoch with the lowest held-out loss.

    Args:
        config: What to do.
        run: Where to record it. The folder exists.
        observer: Watches.
        journal: Takes what happens to the run.

    Returns:
        What result.json says.

    Raises:
        FedcliError: Anything that ends the run before its last epoch; what it has done is recorded.
    """
    refuse_taken(config, run)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_after_round(observer.stopping))
        text = load_text(config)
        _report_unknown(text)
        inputs = {
            "data": {"name": config.text, "sha256": text.digest},
            "pretrained": None,
            "sources": sources_of(config),
        }
        journal.refuse_other(inputs)
        observer.preparing("importing TensorFlow")
        import_tensorflow()
        from fedcli.training.pretrain_setup import Pretraining

        experiment = stack.enter_context(Pretraining.build(config, text))
        progress = experiment.restore(run)
        if progress is not None:
            _refuse_fewer_epochs(config, progress.epoch)
        # Whatever refuses to go on with a run comes before this, so that the run's folder stays as it is.
        journal.begin(inputs, None if progress is None else progress.epoch)
        recorder = stack.enter_context(experiment.recording(run, progress))

        if progress is None:
            progress, row = experiment.begin()
            recorder.row(row)
            recorder.checkpoint(progress)
            observer.started(0, config.epochs)
            observer.row(row)
        else:
            observer.started(progress.epoch, config.epochs)

        for epoch in range(progress.epoch + 1, config.epochs + 1):
            _stop_if_asked(stop, progress.epoch, run)
            if config.patience is not None and progress.epochs_without_gain >= config.patience:
                _log.info("stopped early: the held-out loss was lowest after epoch %d", progress.best.epoch)
                break
            started = time.perf_counter()
            state, trained = experiment.train_epoch(progress.state, epoch, observer)
            seconds = time.perf_counter() - started
            evaluated = experiment.evaluate(state)
            row = {"round": epoch, **trained, **evaluated, "seconds": seconds}
            recorder.row(row)
            observer.row(row)
            _refuse_divergence(config, row)
            progress = progress.after(epoch, state, experiment.weights(state), evaluated)
            if epoch % config.checkpoint.every == 0 or epoch == config.epochs or stop:
                recorder.checkpoint(progress)
        recorder.checkpoint(progress)
        last, kept = progress.epoch, progress.best
        _refuse_no_gain(config, last, kept.epoch)
        experiment.save_model(run, kept.weights)

    best = {"epoch": kept.epoch, "eval/loss": kept.loss, "eval/accuracy": kept.accuracy}
    path = publish(config, run, {"text": config.text, "text_sha256": text.digest, **best})
    summary = summarise(read_metrics(run.metrics_csv)) | {
        "stopped_early": last < config.epochs,
        "pretrained": {"name": config.name, "path": str(path), **best},
        "text": {
            "characters": text.characters,
            "unknown_characters": sum(text.unknown.values()),
            "train_sequences": len(text.train),
            "validation_sequences": len(text.validation),
        },
    }
    write_result(run.result_json, summary)
    return summary


def _report_unknown(text: TrainingText) -> None:
    if text.unknown:
        _log.warning("%s", unknown_note(text.unknown, sum(text.unknown.values()), text.characters, "characters"))


def _stop_if_asked(stop: StopRequest, epoch: int, run: RunDirectory) -> None:
    if stop:
        raise Interrupted(
            f"stopped by {stop.signal_name} after epoch {epoch}; it is saved",
            f"go on with: fedcli pretrain --resume {shown_path(run.path)}",
        )


def _refuse_fewer_epochs(config: PretrainConfig, done: int) -> None:
    if done > config.epochs:
        raise ConfigError(
            f"epochs={config.epochs}: the run has done {done} epochs already", f"set epochs to at least {done}"
        )


def _refuse_no_gain(config: PretrainConfig, last: int, best: int) -> None:
    if last and not best:
        raise DivergedError(
            f"no epoch of {last} has a lower held-out loss than the untrained model",
            f"lower learning_rate (now {config.learning_rate:g})",
        )


def _refuse_divergence(config: PretrainConfig, row: Row) -> None:
    for name in ("train/loss", "eval/loss"):
        value = row[name]
        if value is not None and not math.isfinite(value):
            raise DivergedError(
                f"{name} is {value} in epoch {row['round']}: training has diverged",
                f"lower learning_rate (now {config.learning_rate:g})",
            )
