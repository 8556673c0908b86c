"""Writes what a run measures: metrics.csv, TensorBoard and the config's logger; takes them up again on resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fedcli.keys.flat import flat
from fedcli.loggers.guard import Guard, GuardedLogger
from fedcli.runs.directory import RunDirectory
from fedcli.runs.events import EventWriter, scalar_rounds, truncate_events
from fedcli.runs.metrics import MetricsWriter, Row, read_metrics, truncate_metrics
from fedcli.runs.record import read_record, status_after
from fedcli.training.hparams import hparam_columns, metric_columns

if TYPE_CHECKING:
    from fedcli.config.pretrain import PretrainConfig
    from fedcli.config.schema import TrainConfig


class Measurements:
    """The files that grow by a row each round, and the logger beside them.

    The run depends on metrics.csv. TensorBoard and the logger watch: once the run has begun, they never end it.

    Args:
        run: The run directory, which has its run.json.
        config: The config.
        extra: Names of measurements beside the common columns.
        resumed_after: The round after which the run goes on; None for a new run.

    Raises:
        RunDirectoryError: A file cannot be read or written.
    """

    def __init__(
        self, run: RunDirectory, config: TrainConfig | PretrainConfig, extra: Sequence[str], resumed_after: int | None
    ) -> None:
        # A run that was killed before its first checkpoint begins again, over what it left.
        keep = -1 if resumed_after is None else resumed_after
        if run.metrics_csv.exists():
            truncate_metrics(run.metrics_csv, keep)
        # What the events lack of the rounds done (they were deleted, or damaged) is written anew from metrics.csv.
        rows = read_metrics(run.metrics_csv) if run.metrics_csv.exists() else []
        if run.events.exists():
            truncate_events(run.events, keep)
        missing = not {int(row["round"] or 0) for row in rows} <= scalar_rounds(run.events)
        if missing and run.events.exists():
            truncate_events(run.events, keep, keep_scalars=False)
        record = read_record(run.run_json)
        values: dict[str, Any] = flat(dataclasses.asdict(config))
        self._metrics = MetricsWriter(run.metrics_csv, extra)
        self._events = EventWriter(run.events, resumed_after)
        self._events.hparams(values, record.label(run.path), hparam_columns(config, record), metric_columns(extra))
        for row in rows if missing else ():
            self._events.scalars(*_scalars(row))
        self._events.flush()
        self._events_guarded = Guard("TensorBoard's events")
        self._logger = GuardedLogger(config.logger, run, record, values)
        if resumed_after is not None:
            # The rounds that the logger does not hold, all of them if it was chosen only now.
            for row in rows:
                self._logger.scalars(*_scalars(row))

    def row(self, row: Row) -> None:
        """Writes the metrics of a round."""
        self._metrics.append(row)
        round, values = _scalars(row)
        with self._events_guarded():
            self._events.scalars(round, values)
            self._events.flush()
        self._logger.scalars(round, values)

    def text(self, round: int, name: str, text: str) -> None:
        """Shows a text of a round."""
        with self._events_guarded():
            self._events.text(round, name, text)
            self._events.flush()
        self._logger.text(round, name, text)

    def close(self, error: type[BaseException] | None) -> None:
        """Closes the files, with the status that a run ends with by an error of a type, None for none."""
        status = status_after(error)
        self._logger.close(status)
        self._metrics.close()
        with self._events_guarded():
            self._events.close(status)


def _scalars(row: Row) -> tuple[int, Row]:
    return int(row["round"] or 0), {name: value for name, value in row.items() if name != "round"}
