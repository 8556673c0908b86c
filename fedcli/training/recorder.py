"""Writes what a run measures and its checkpoints, and takes them up again on resume."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from fedcli.config.schema import TrainConfig
from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import write_text
from fedcli.runs.checkpoints import CheckpointStore
from fedcli.runs.client_states import ClientState, ClientStates
from fedcli.runs.directory import RunDirectory
from fedcli.runs.metrics import Row, check_columns
from fedcli.runs.participants import Participant, ParticipantsWriter, read_participants, write_participants
from fedcli.runs.taken_up import checkpoint_to_resume
from fedcli.runtime.engine.compiled import CompiledRound
from fedcli.runtime.round import State
from fedcli.training.client_evaluation import ClientResults
from fedcli.training.cohorts import Spent, Streams
from fedcli.training.measurements import Measurements

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        round: Rounds done.
        state: The server's state.
        broadcasted_bits: Bits sent to clients so far.
        aggregated_bits: Bits sent by clients so far.
        simulated_seconds: Time that the rounds took so far, where it is simulated.
        streams: Bits of the last round's messages whose length depends on their values.
        kept: Where clients keep something: the last round of each client that has trained.
    """

    round: int
    state: State
    broadcasted_bits: int = 0
    aggregated_bits: int = 0
    simulated_seconds: float = 0.0
    streams: Streams = field(default_factory=Streams)
    kept: Mapping[str, int] = field(default_factory=dict)

    def after(self, state: State, spent: Spent, keeping: Sequence[str] = ()) -> Progress:
        """Returns where the run is after one more round.

        Args:
            state: The server's state.
            spent: What the round cost.
            keeping: Its clients that have trained, where clients keep something.
        """
        return Progress(
            self.round + 1,
            state,
            self.broadcasted_bits + spent.bits.broadcasted_bits,
            self.aggregated_bits + spent.bits.aggregated_bits,
            self.simulated_seconds + spent.seconds,
            spent.streams,
            {**self.kept, **dict.fromkeys(keeping, self.round + 1)},
        )

    def spent_row(self, spent: Spent, *, simulated: bool) -> Row:
        """Returns the columns about what was spent, with that of the round just done.

        Args:
            spent: In the round.
            simulated: Whether it is simulated who reports, and when.
        """
        row: Row = {
            "broadcasted_bits": self.broadcasted_bits,
            "aggregated_bits": self.aggregated_bits,
            "broadcasted_bits_round": spent.bits.broadcasted_bits,
            "aggregated_bits_round": spent.bits.aggregated_bits,
        }
        if simulated:
            row["simulated_seconds"] = self.simulated_seconds
            row["simulated_seconds_round"] = spent.seconds
            row |= spent.counts()
        return row


def load_progress(run: RunDirectory, keep: int, compiled: CompiledRound) -> Progress | None:
    """Reads the checkpoint that a run goes on from, see `checkpoint_to_resume`; None if the run saved none yet.

    Raises:
        RunDirectoryError: There is none that goes with metrics.csv, or it belongs to another computation.
    """
    checkpoint = checkpoint_to_resume(run, keep)
    if checkpoint is None:
        return None
    expected = [(leaf.path, leaf.dtype) for leaf in compiled.state]
    found = [(name, tensor.dtype) for name, tensor in checkpoint.tensors]
    if expected != found:
        raise RunDirectoryError(
            f"{run.checkpoints}: the checkpoint of round {checkpoint.round} is of another model or algorithm",
            "resume with the versions in run.json, or start a new run",
        )
    return Progress(
        checkpoint.round,
        [tensor for _, tensor in checkpoint.tensors],
        checkpoint.meta["broadcasted_bits"],
        checkpoint.meta["aggregated_bits"],
        # Checkpoints of earlier versions have no such time; nothing was simulated then.
        checkpoint.meta.get("simulated_seconds", 0.0),
        Streams(**checkpoint.meta.get("streams", {})),
        checkpoint.meta.get("kept", {}),
    )


def check_recording(run: RunDirectory, compiled: CompiledRound, extra: Sequence[str], resumed: Progress | None) -> None:
    """Refuses files that a `Recorder` could not go on with. Changes none of them.

    Args:
        run: The run directory.
        compiled: The computation.
        extra: Names of measurements beside the common columns.
        resumed: Where the run goes on; None if it begins at the first round.

    Raises:
        RunDirectoryError: A file is missing, damaged, or that of another config.
    """
    check_columns(run.metrics_csv, extra)
    if run.participants_csv.exists():
        read_participants(run.participants_csv)
    if resumed is not None and compiled.kept:
        ClientStates(run.client_states, _kept(compiled)).check(resumed.kept)


class Recorder:
    """Writes the files of one run that grow with it.

    Args:
        run: The run directory.
        config: The config.
        compiled: The computation, whose state is saved.
        extra: Names of measurements beside the common columns.
        resumed: Where the run goes on; None for a new run.
        participants: Those of all rounds done, where participants.csv lacks some; None where it does not.
    """

    def __init__(
        self,
        run: RunDirectory,
        config: TrainConfig,
        compiled: CompiledRound,
        extra: Sequence[str],
        resumed: Progress | None,
        participants: Sequence[Participant] | None = None,
    ) -> None:
        self._names = [leaf.path for leaf in compiled.state]
        self._clients_csv = run.clients_csv
        self._checkpoints = CheckpointStore(run.checkpoints, config.checkpoint.keep)
        if resumed is not None:
            self._checkpoints.clean(resumed.round)
        self._client_states = ClientStates(run.client_states, _kept(compiled)) if compiled.kept else None
        if self._client_states is not None:
            self._client_states.restore(*(({}, 0) if resumed is None else (resumed.kept, resumed.round)))
        self._measurements = Measurements(run, config, extra, None if resumed is None else resumed.round)
        self._participants: ParticipantsWriter | None = None
        if config.sampling.is_simulated:
            if participants is not None:
                write_participants(run.participants_csv, participants)
            self._participants = ParticipantsWriter(run.participants_csv, -1 if resumed is None else resumed.round)

    def kept(self, progress: Progress, client: str, *, discard: bool) -> ClientState | None:
        """Returns what a client keeps that takes part in the next round; None where clients keep nothing.

        Args:
            progress: Where the run is, before that round.
            client: The client.
            discard: Whether it is to keep nothing new, since the round does not count.
        """
        if self._client_states is None:
            return None
        return self._client_states.of(client, progress.kept.get(client), progress.round + 1, discard=discard)

    def row(self, row: Row, participants: Sequence[Participant] = ()) -> None:
        """Writes the metrics of a round, and who took part in it where that is simulated."""
        if self._participants is not None:
            self._participants.append(participants)
        self._measurements.row(row)

    def clients(self, results: ClientResults) -> None:
        """Writes the evaluation of each client by itself, in place of the one before."""
        write_text(self._clients_csv, results.as_csv())

    def text(self, round: int, name: str, text: str) -> None:
        """Shows a text in TensorBoard, the logger and the log."""
        self._measurements.text(round, name, text)
        _log.info("%s after round %d: %s", name, round, text)

    def checkpoint(self, progress: Progress) -> None:
        """Saves the server's state, and where clients keep something, which of it belongs to that state."""
        meta: dict[str, Any] = {
            "broadcasted_bits": progress.broadcasted_bits,
            "aggregated_bits": progress.aggregated_bits,
            "simulated_seconds": progress.simulated_seconds,
            "streams": dataclasses.asdict(progress.streams),
        }
        if self._client_states is not None:
            meta["kept"] = dict(progress.kept)
        self._checkpoints.save(
            progress.round,
            list(zip(self._names, (np.asarray(tensor) for tensor in progress.state), strict=True)),
            meta,
        )
        if self._client_states is not None:
            self._client_states.saved(self._checkpoints.rounds())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        """Closes the files, with the status that the run ends with."""
        if self._participants is not None:
            self._participants.close()
        self._measurements.close(kind)


def _kept(compiled: CompiledRound) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    """Lists name, type and shape of each tensor that a client keeps."""
    return [(leaf.path, leaf.dtype, tuple(size or 0 for size in leaf.shape)) for leaf in compiled.kept]
