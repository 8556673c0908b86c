import gc
import json
import math
import warnings

import pytest

from fedcli.loggers.wandb import WandB

pytest.importorskip("wandb")

CONFIG = {"rounds": 2, "client_optimizer.learning_rate": 0.1, "eval.max_examples": None}


@pytest.fixture(autouse=True)
def sockets_to_wandb():
    """Ends the sockets to W&B's own process, which it leaves to the garbage collector."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def files(run):
    return sorted(run.wandb.glob("offline-run-*/*.wandb"))


def records(file, kind):
    """Reads an offline file as `wandb sync` does."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    store = DataStore()
    store.open_for_scan(str(file))
    found = []
    while (data := store.scan_data()) is not None:
        record = Record.FromString(data)
        if record.WhichOneof("record_type") == kind:
            found.append(getattr(record, kind))
    store.close()
    return found


def items(entries):
    """Reads keys and values of a config, a history row or a summary."""
    return {"/".join(entry.nested_key) or entry.key: json.loads(entry.value_json) for entry in entries}


def history(file):
    rows = {row.step.num: items(row.item) for row in records(file, "history")}
    return {step: {k: v for k, v in row.items() if not k.startswith("_")} for step, row in rows.items()}


def test_a_run_as_wandb_reads_it(run, record, capfd):
    logger = WandB(project="a study").start(run, record, CONFIG)
    assert logger.last_round == -1
    logger.scalars(0, {"eval/accuracy": 0.1, "aggregated_bits": 0})
    logger.scalars(1, {"eval/accuracy": 0.5, "aggregated_bits": 2**40, "train/loss": math.nan})
    logger.text(1, "sample", "<To be>")
    logger.close("completed")

    (file,) = files(run)
    (header,) = records(file, "run")
    assert (header.run_id, header.display_name, header.project) == ("0b6173", "3 0b6173", "a study")
    assert header.job_type == "train"
    config = items(header.config.update)
    assert {key: config.get(key) for key in CONFIG} == CONFIG
    rows = history(file)
    assert rows[0] == {"eval/accuracy": 0.1, "aggregated_bits": 0}
    assert (rows[1]["eval/accuracy"], rows[1]["aggregated_bits"]) == (0.5, 2**40)
    assert math.isnan(rows[1]["train/loss"])
    (sample,) = file.parent.glob("files/media/html/sample_1_*.html")
    assert sample.read_text() == "<pre>&lt;To be&gt;</pre>"
    (end,) = records(file, "exit")
    assert end.exit_code == 0
    assert "completed" in [items(each.update).get("status") for each in records(file, "summary")]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("status", "code"), [("interrupted", 130), ("failed", 1)])
def test_other_endings(run, record, status, code):
    WandB().start(run, record, CONFIG).close(status)
    (end,) = records(files(run)[0], "exit")
    assert end.exit_code == code


def test_a_resumed_run_goes_on_in_the_same_wandb_run(run, record):
    logger = WandB().start(run, record, CONFIG)
    for round in range(3):
        logger.scalars(round, {"eval/accuracy": round / 10})
    logger.close("interrupted")
    (before,) = files(run)
    assert list(history(before)) == [0, 1, 2]
    first_id = records(before, "run")[0].run_id
    # As a killed process leaves it: W&B's reader stops there.
    before.write_bytes(before.read_bytes() + bytes([1, 2, 3]))
    before.parent.rename(run.wandb / "offline-run-20200101_000000-0b6173")  # its name has the second
    logger = WandB().start(run, record, CONFIG)
    assert logger.last_round == 2
    logger.scalars(3, {"eval/accuracy": 0.3})
    logger.close("completed")
    after = files(run)[-1]
    assert records(after, "run")[0].run_id == first_id
    assert list(history(after)) == [3]
