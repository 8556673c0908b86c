import errno
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups, metadata
from tensorboard.util import tensor_util

from fedcli.errors import RunDirectoryError
from fedcli.runs.events import EventWriter, HParamColumn, scalar_rounds, truncate_events

CONFIG = {"seed": 1, "aggregator.name": "mean", "client_optimizer.learning_rate": 0.02, "eval.every": None}


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = read(folder)
    return {
        tag: [(e.step, tensor_util.make_ndarray(e.tensor_proto).item()) for e in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"]
        if accumulator.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def write(folder: Path, rounds: range, **arguments: Any) -> None:
    with EventWriter(folder, **arguments) as writer:
        for round in rounds:
            writer.scalars(round, {"train/loss": 1 / (round + 1)})
            writer.flush()


def losses(rounds: range) -> dict[str, list[tuple[int, float]]]:
    return {"train/loss": [(round, float(np.float32(1 / (round + 1)))) for round in rounds]}


def test_scalars(tmp_path: Path) -> None:
    before = time.time()
    with EventWriter(tmp_path / "events") as writer:
        writer.scalars(0, {"eval/loss": 2.5, "train/loss": None, "bits": 2**60})
        writer.scalars(1, {"eval/loss": np.float32(1.5), "train/loss": math.nan, "huge": 1e300})
        writer.scalars(2, {"train/loss": None})
        writer.flush()
        read_while_open = scalars(tmp_path / "events")
    result = scalars(tmp_path / "events")
    assert repr(result) == repr(read_while_open)
    assert math.isnan(result.pop("train/loss")[0][1])
    assert result == {"eval/loss": [(0, 2.5), (1, 1.5)], "bits": [(0, 2.0**60)], "huge": [(1, math.inf)]}
    [first, _] = read(tmp_path / "events").Tensors("eval/loss")
    assert before <= first.wall_time <= time.time()


def test_text(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        writer.text(3, "sample", "To be, or not to be: größer \ud800")
    accumulator = read(tmp_path)
    [event] = accumulator.Tensors("sample")
    assert accumulator.SummaryMetadata("sample").plugin_data.plugin_name == "text"
    assert event.step == 3
    assert tensor_util.make_ndarray(event.tensor_proto).item().decode() == "To be, or not to be: größer ?"


def session_groups(logdir: Path) -> tuple[api_pb2.Experiment, api_pb2.ListSessionGroupsResponse]:
    """Asks TensorBoard's own HParams plugin what its tab shows."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = context.RequestContext()
    hparams = backend.hparams_from_data_provider(request, "")
    experiment = backend.experiment_from_metadata(request, "", backend.hparams_metadata(request, ""), hparams)
    everything = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, *api_pb2.Status.values()[1:]],
    )
    everything.col_params.extend(api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos)
    handler = list_session_groups.Handler(request, backend, "", everything)
    return experiment, handler.run()


def test_runs_show_in_the_hparams_tab(tmp_path: Path) -> None:
    for name, extra in (("a", {}), ("b", {"aggregator.bits": 8})):
        with EventWriter(tmp_path / name / "events") as writer:
            writer.hparams({**CONFIG, **extra, "clip": math.inf})
            writer.scalars(5, {"eval/accuracy": 0.75})
            writer.close("completed" if name == "a" else "failed")
    experiment, response = session_groups(tmp_path)
    # A key without a value has no cell, and no column if no run has one.
    assert {info.name for info in experiment.hparam_infos} == {*CONFIG, "aggregator.bits", "clip"} - {"eval.every"}
    assert [info.name.tag for info in experiment.metric_infos] == ["eval/accuracy"]
    sessions = {group.sessions[0].name: group for group in response.session_groups}
    assert set(sessions) == {"a/events", "b/events"}
    group = sessions["a/events"]
    assert group.sessions[0].status == api_pb2.STATUS_SUCCESS
    assert sessions["b/events"].sessions[0].status == api_pb2.STATUS_FAILURE
    assert group.hparams["client_optimizer.learning_rate"].number_value == 0.02
    assert group.hparams["aggregator.name"].string_value == "mean"
    assert group.metric_values[0].value == 0.75
    assert group.metric_values[0].training_step == 5


COLUMNS = [
    HParamColumn("client_optimizer.learning_rate", "number"),
    HParamColumn("aggregator.name", "text", ("compression", "mean")),
    HParamColumn("algorithm.weighted", "bool"),
    HParamColumn("output_dir", "text"),
]


def test_columns_and_metrics_can_be_chosen(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "a") as writer:
        writer.hparams(CONFIG, columns=COLUMNS, metrics=["eval/loss", "eval/accuracy"])
        writer.scalars(1, {"eval/accuracy": 0.5, "eval/loss": 2.0, "train/loss": 1.0})
    experiment, response = session_groups(tmp_path)
    assert [info.name.tag for info in experiment.metric_infos] == ["eval/loss", "eval/accuracy"]
    assert [info.name for info in experiment.hparam_infos] == [column.name for column in COLUMNS]
    assert [info.type for info in experiment.hparam_infos] == [
        api_pb2.DATA_TYPE_FLOAT64,
        api_pb2.DATA_TYPE_STRING,
        api_pb2.DATA_TYPE_BOOL,
        api_pb2.DATA_TYPE_STRING,
    ]
    assert list(experiment.hparam_infos[1].domain_discrete) == ["compression", "mean"]
    [group] = response.session_groups
    assert [metric.value for metric in group.metric_values] == [2.0, 0.5]


def test_runs_of_the_same_config_are_told_apart_by_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with EventWriter(tmp_path / name) as writer:
            writer.hparams(CONFIG, f"run {name}")
            writer.scalars(1, {"eval/accuracy": 0.5})
    _, response = session_groups(tmp_path)
    assert sorted(group.name for group in response.session_groups) == ["run a", "run b"]


def test_a_resumed_run_shows_once_with_its_new_config(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        writer.hparams({**CONFIG, "rounds": 2}, "run", COLUMNS, ["a"])
        writer.scalars(1, {"a": 1})
        writer.close("interrupted")
    truncate_events(tmp_path, 1)
    with EventWriter(tmp_path, resumed_after=1) as writer:
        writer.hparams({**CONFIG, "rounds": 3}, "run", COLUMNS, ["a"])
        writer.scalars(2, {"a": 2})
        writer.close("completed")
    _, response = session_groups(tmp_path)
    [group] = response.session_groups
    [session] = group.sessions
    assert session.status == api_pb2.STATUS_SUCCESS
    assert group.hparams["rounds"].number_value == 3
    assert [metric.value for metric in group.metric_values] == [2]


def test_resumed_curves_do_not_overlap(tmp_path: Path) -> None:
    write(tmp_path, range(6))
    truncate_events(tmp_path, 2)
    write(tmp_path, range(3, 5), resumed_after=2)
    assert scalars(tmp_path) == losses(range(5))
    assert len(files(tmp_path)) == 2


def test_files_sort_by_age_even_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)
    written = []
    for round in range(3):
        write(tmp_path, range(round, round + 1))
        written += [path for path in files(tmp_path) if path not in written]
    assert written == files(tmp_path)


def test_an_open_tensorboard_forgets_what_was_truncated(tmp_path: Path) -> None:
    write(tmp_path, range(6))
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    assert [event.step for event in multiplexer.Tensors(".", "train/loss")] == [0, 1, 2, 3, 4, 5]
    truncate_events(tmp_path, 2)
    write(tmp_path, range(3, 5), resumed_after=2)
    multiplexer.Reload()
    assert [event.step for event in multiplexer.Tensors(".", "train/loss")] == [0, 1, 2, 3, 4]


def test_what_the_hparams_tab_knows_is_dropped(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        writer.hparams(CONFIG, columns=COLUMNS, metrics=["a"])
        writer.scalars(1, {"a": 1})
        writer.close("failed")
    tags = {metadata.EXPERIMENT_TAG, metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG}
    assert set(read(tmp_path).Tags()["tensors"]) == {*tags, "a"}
    truncate_events(tmp_path, 1)
    assert set(read(tmp_path).Tags()["tensors"]) == {"a"}


def test_nothing_to_drop_leaves_the_file_untouched(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    [path] = files(tmp_path)
    before = path.stat()
    truncate_events(tmp_path, 5)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    truncate_events(tmp_path / "missing", 5)


def test_a_file_left_without_events_is_removed(tmp_path: Path) -> None:
    write(tmp_path, range(3, 5))
    truncate_events(tmp_path, 2)
    assert files(tmp_path) == []


def test_truncation_at_any_byte_leaves_whole_events(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    [path] = files(tmp_path)
    whole = path.read_bytes()
    counts = set()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        truncate_events(tmp_path, 2)
        left = scalars(tmp_path).get("train/loss", [])
        assert left == losses(range(3))["train/loss"][: len(left)]
        counts.add(len(left))
    assert counts == {0, 1, 2, 3}


def test_changed_bytes_never_give_wrong_events(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    [path] = files(tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 0x5A
        path.write_bytes(data)
        truncate_events(tmp_path, 2)
        left = scalars(tmp_path).get("train/loss", [])
        assert left == losses(range(3))["train/loss"][: len(left)]
        assert len(left) < 3


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    truncate_events(tmp_path, 0)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_full_disk_surfaces_and_takes_the_part_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = EventWriter(tmp_path)
    writer.scalars(0, {"train/loss": 1.0})
    writer.flush()
    before = writer.path.read_bytes()
    writer.scalars(1, {"train/loss": 0.5})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(RunDirectoryError, match=r"tfevents.*: No space left"):
            writer.flush()
    assert writer.path.read_bytes() == before
    writer.scalars(2, {"train/loss": 0.25})
    writer.close()
    assert scalars(tmp_path) == {"train/loss": [(0, 1.0), (2, 0.25)]}


def test_the_first_error_is_the_one_to_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def train() -> None:
        with EventWriter(tmp_path) as writer:
            writer.scalars(1, {"a": 1})
            monkeypatch.setattr(os, "fsync", full_disk)
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        train()


def test_closed_writer(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.close("completed")
    writer.close("completed")
    with pytest.raises(ValueError, match="closed"):
        writer.scalars(1, {"a": 1})
    assert read(tmp_path).Tags()["tensors"] == []  # no session was begun, so none ends


def test_numbers_can_be_dropped_to_be_written_anew(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        for round in (0, 2):
            writer.scalars(round, {"train/loss": 1 / (round + 1)})
            writer.text(round, "sample", "words")
    assert scalar_rounds(tmp_path) == {0, 2}
    truncate_events(tmp_path, 2, keep_scalars=False)
    assert scalar_rounds(tmp_path) == set()
    write(tmp_path, range(3), resumed_after=2)
    assert scalars(tmp_path) == losses(range(3))
    assert [event.step for event in read(tmp_path).Tensors("sample")] == [0, 2]
    assert scalar_rounds(tmp_path / "none") == set()
