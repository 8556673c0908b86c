"""events/: what TensorBoard shows of a run, written without TensorFlow.

TensorBoard's own protocol buffers and record format are used, but not its `EventFileWriter`: that one writes
from another thread, where a full disk goes unnoticed until much later.
"""

from __future__ import annotations

import io
import logging
import math
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from fedcli.errors import RunDirectoryError
from fedcli.runs.atomic import remove_leftovers, storage_errors, write_bytes

_log = logging.getLogger(__name__)

_PREFIX = "events.out.tfevents."
_VERSION = "brain.Event:2"

_STATUSES = {
    "completed": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
    "interrupted": api_pb2.STATUS_UNKNOWN,  # TensorBoard has no word for it
}


_KINDS = {
    "bool": api_pb2.DATA_TYPE_BOOL,
    "number": api_pb2.DATA_TYPE_FLOAT64,
    "text": api_pb2.DATA_TYPE_STRING,
}


@dataclass(frozen=True)
class HParamColumn:
    """A column of TensorBoard's HParams tab.

    Attributes:
        name: The key.
        kind: What its values are; runs can be sorted and filtered by numbers.
        choices: All values that a text can have, for the tab's filter; empty if they cannot be listed.
    """

    name: str
    kind: Literal["bool", "number", "text"]
    choices: tuple[str, ...] = ()


class EventWriter:
    """Writes one event file. What was written is on the disk after `flush`; call it each round.

    Args:
        folder: TensorBoard's folder, made if need be.
        resumed_after: The round from which the run is resumed, if it is: a TensorBoard that is already open
            then drops what it has read of later rounds. Call `truncate_events` first.

    Raises:
        RunDirectoryError: The file cannot be made.
    """

    def __init__(self, folder: Path, resumed_after: int | None = None) -> None:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / _new_name(folder)
            self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._pending = io.BytesIO()
        self._records = RecordWriter(self._pending)
        self._size = 0
        self._has_session = False
        self._add(event_pb2.Event(file_version=_VERSION))
        # At the second start of a run that TensorBoard sees, it forgets what it has read from that step on.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        step = 0 if resumed_after is None else resumed_after + 1
        self._add(event_pb2.Event(step=step, session_log=start))
        self.flush()

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds numbers, each a curve named by its key; None is passed over. They are kept as float32."""
        summary = summary_pb2.Summary()
        for name, value in values.items():
            if value is not None:
                # Tensors, not `simple_value`: the form of TensorFlow 2, which needs no migration when read.
                metadata = scalar_metadata.create_summary_metadata(display_name="", description="")
                metadata.data_class = summary_pb2.DATA_CLASS_SCALAR
                tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[float(value)])
                summary.value.add(tag=name, metadata=metadata, tensor=tensor)
        if summary.value:
            self._add(event_pb2.Event(step=step, summary=summary))

    def text(self, step: int, name: str, text: str) -> None:
        """Adds a text, shown as Markdown."""
        metadata = text_metadata.create_summary_metadata(display_name="", description="")
        metadata.data_class = summary_pb2.DATA_CLASS_TENSOR
        self._add_tensor(step, name, metadata, _strings([text.encode(errors="replace")], shape=()))

    def hparams(
        self,
        config: Mapping[str, Any],
        name: str = "",
        columns: Sequence[HParamColumn] = (),
        metrics: Sequence[str] = (),
    ) -> None:
        """Adds the run to TensorBoard's HParams tab.

        Args:
            config: The config, flat: `{"client_optimizer.learning_rate": 0.1, ...}`. Values that are not
                bool, number or text are shown as text; a key whose value is None has an empty cell.
            name: What the tab calls the run. It shows runs of the same name as one, and without a name runs of
                the same config: their mean.
            columns: The keys that the tab has, in order; it shows the first five unless told otherwise. Left
                empty, it has every key of all runs, in an order that TensorBoard draws.
            metrics: The scalars that it has, likewise; give them if, and only if, `columns` are given.
                TensorBoard takes the columns of the whole tab from any one of the runs.
        """
        if columns:
            experiment = api_pb2.Experiment(
                time_created_secs=time.time(),
                hparam_infos=[_hparam_info(column) for column in columns],
                metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics],
            )
            data = plugin_data_pb2.HParamsPluginData(experiment=experiment)
            self._add(event_pb2.Event(summary=_hparams_summary(hparams_metadata.EXPERIMENT_TAG, data)))
        values = {key: _hparam(value) for key, value in config.items() if value is not None}
        self._add(event_pb2.Event(summary=summary_v2.hparams_pb(values, trial_id=name or None)))
        self._has_session = True

    def flush(self) -> None:
        """Brings what was added to the disk.

        Raises:
            RunDirectoryError: It cannot be written. The file then ends with the last flush before.
        """
        data = self._pending.getvalue()
        self._pending.seek(0)
        self._pending.truncate()
        try:
            with storage_errors(self.path):
                view = memoryview(data)
                while view:
                    view = view[self._file.write(view) :]
                os.fsync(self._file.fileno())
        except BaseException:  # a full disk, or an interrupt, can leave a part
            with storage_errors(self.path):
                os.ftruncate(self._file.fileno(), self._size)
                self._file.seek(self._size)
            raise
        self._size += len(data)

    def close(self, status: str | None = None) -> None:
        """Writes what is left and closes the file; a second call does nothing.

        Args:
            status: How the run ended (`completed`, `failed`, `interrupted`), for the HParams tab.

        Raises:
            RunDirectoryError: The rest cannot be written. The file is closed all the same.
        """
        if self._file.closed:
            return
        try:
            if status is not None and self._has_session:
                self._add(event_pb2.Event(summary=_session_end(_STATUSES[status])))
            self.flush()
        finally:
            self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except RunDirectoryError:
            if error is None:  # else the first error is the one to see
                raise

    def _add_tensor(
        self, step: int, name: str, metadata: summary_pb2.SummaryMetadata, tensor: tensor_pb2.TensorProto
    ) -> None:
        value = summary_pb2.Summary.Value(tag=name, metadata=metadata, tensor=tensor)
        self._add(event_pb2.Event(step=step, summary=summary_pb2.Summary(value=[value])))

    def _add(self, event: event_pb2.Event) -> None:
        if self._file.closed:
            raise ValueError(f"{self.path}: the writer is closed")
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def scalar_rounds(folder: Path) -> set[int]:
    """Returns the rounds of which the events in a folder have numbers.

    Raises:
        RunDirectoryError: A file cannot be read.
    """
    found = set()
    for path in _event_files(folder) if folder.is_dir() else ():
        with storage_errors(path, "read"):
            data = path.read_bytes()
        found |= {event.step for _, event in _records(path, data) if _has_scalars(event)}
    return found


def truncate_events(folder: Path, after_round: int, *, keep_scalars: bool = True) -> None:
    """Drops the events of rounds later than `after_round`, to resume from there: curves never overlap.

    What the HParams tab knows of the run is dropped too, because it has not ended, and TensorBoard would keep to
    the old config: write it anew. So is whatever follows a record that was half written. Files left empty are
    removed.

    Args:
        folder: TensorBoard's folder.
        after_round: The last round that is kept.
        keep_scalars: False drops all numbers, to write them anew in their order; texts and images stay.

    Raises:
        RunDirectoryError: A file cannot be read or written.
    """
    remove_leftovers(folder)
    for path in _event_files(folder):
        with storage_errors(path, "read"):
            data = path.read_bytes()
        kept = [
            (record, event)
            for record, event in _records(path, data)
            if _belongs(event, after_round) and (keep_scalars or not _has_scalars(event))
        ]
        if not any(event.HasField("summary") for _, event in kept):
            with storage_errors(path, "remove"):
                path.unlink()
        elif (content := b"".join(record for record, _ in kept)) != data:
            write_bytes(path, content)


def _has_scalars(event: event_pb2.Event) -> bool:
    return any(value.metadata.plugin_data.plugin_name == scalar_metadata.PLUGIN_NAME for value in event.summary.value)


def _belongs(event: event_pb2.Event, after_round: int) -> bool:
    return event.step <= after_round and not any(
        value.metadata.plugin_data.plugin_name == hparams_metadata.PLUGIN_NAME for value in event.summary.value
    )


def _records(path: Path, data: bytes) -> Iterator[tuple[bytes, event_pb2.Event]]:
    """Yields each whole record of an event file: its bytes, framing included, and what it means."""
    # TensorBoard's own loader would import TensorFlow where it is installed.
    offset = 0
    while offset < len(data):
        header = data[offset : offset + 8]
        length = int.from_bytes(header, "little")
        record = data[offset : offset + length + 16]
        content = record[12:-4]
        if (
            len(record) != length + 16
            or record[8:12] != struct.pack("<I", masked_crc32c(header))
            or record[-4:] != struct.pack("<I", masked_crc32c(content))
        ):
            # TensorBoard reads no further either: the next record cannot be found.
            _log.info("%s: dropping %d bytes that were half written", path, len(data) - offset)
            return
        try:
            event = event_pb2.Event.FromString(content)
        except Exception as error:  # protobuf's DecodeError, whose class depends on its implementation
            _log.warning("%s: dropping an event that cannot be decoded (%s)", path, error)
        else:
            yield record, event
        offset += len(record)


def _event_files(folder: Path) -> list[Path]:
    with storage_errors(folder, "read"):
        return sorted(folder.glob(f"{_PREFIX}*"))


def _new_name(folder: Path) -> str:
    """Names an event file so that it sorts after those before it: TensorBoard reads them in that order."""
    seconds = int(time.time())
    for path in _event_files(folder):
        created = path.name.removeprefix(_PREFIX).split(".")[0]
        if created.isdigit():
            seconds = max(seconds, int(created) + 1)
    return f"{_PREFIX}{seconds:010d}.{socket.gethostname()}.{os.getpid()}"


def _strings(values: list[bytes], shape: tuple[int, ...]) -> tensor_pb2.TensorProto:
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    return tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        string_val=values,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dims),
    )


def _hparam(value: Any) -> bool | int | float | str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # TensorBoard sends these values as JSON, which has no NaN
    return value if isinstance(value, bool | int | float | str) else str(value)


def _hparam_info(column: HParamColumn) -> api_pb2.HParamInfo:
    info = api_pb2.HParamInfo(name=column.name, type=_KINDS[column.kind])
    info.domain_discrete.extend([True, False] if column.kind == "bool" else column.choices)
    return info


def _session_end(status: int) -> summary_pb2.Summary:
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    return _hparams_summary(hparams_metadata.SESSION_END_INFO_TAG, data)


def _hparams_summary(tag: str, data: plugin_data_pb2.HParamsPluginData) -> summary_pb2.Summary:
    metadata = hparams_metadata.create_summary_metadata(data)
    return summary_pb2.Summary(
        value=[summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)]
    )
